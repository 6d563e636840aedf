import { Router } from 'express'
import { CALLBACK_PATH, type GoogleSignIn } from './google-sign-in.ts'
import { enter, type SignInDeps } from './sign-in.ts'

const COOKIE = 'testigo_google_sign_in'

/** `/v1/auth/google`: to Google and back, in a browser. For everybody. */
export function googleRoutes(
  deps: SignInDeps & { google: GoogleSignIn; publicUrl: string | undefined },
): Router {
  const { google, publicUrl } = deps
  const cookieOptions = {
    httpOnly: true,
    // Sent along when Google's page leads back here, and by no other site's forms or images.
    sameSite: 'lax',
    secure: publicUrl?.startsWith('https:') ?? false,
    path: CALLBACK_PATH,
  } as const
  const router = Router({ strict: false })
  router.get('/', async (_request, response) => {
    const { location, cookie, lifeSeconds } = await google.start()
    response.cookie(COOKIE, cookie, { ...cookieOptions, maxAge: lifeSeconds * 1000 })
    response.redirect(302, location)
  })
  router.get('/callback', async (request, response) => {
    const cookie = readCookie(request.get('cookie'), COOKIE)
    response.clearCookie(COOKIE, cookieOptions)
    const user = await google.finish(request.query, cookie)
    response.json(await enter(deps, user, 'google'))
  })
  return router
}

function readCookie(header: string | undefined, name: string): string | undefined {
  const pairs = (header ?? '').split(';').map(pair => pair.trim())
  return pairs.find(pair => pair.startsWith(`${name}=`))?.slice(name.length + 1)
}
