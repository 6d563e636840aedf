// The outside world as a service of its own: for whoever runs Testigo's parts in containers, without any account.
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type SandboxNetwork, startSandbox } from './start.ts'

const USAGE = `node sandbox/serve.ts --host-name NAME [-- options]

  --host-name NAME    name that the other containers know this one by
  --world DIR         folder shared with them: settings.sh, key file, browser profile of the bot (default /world)
  --participants N    how many people are in each call (default 3)
  --s3-port N         port of the object store, inside and outside (default 9000)
  --google-port N     port of Google's APIs (default 9001)
  --meet-port N       port of Meet's web app, https (default 9443)
  --public-url URL    where the API is reached from here, for Google's pushes (default http://api:8080)
  --control-port N    port of what makes people join, leave and end calls (default 9080)
`

/** The command was typed in a way that means nothing; the usage says how. */
class BadUsage extends Error {}

interface ServeOptions {
  publicUrl: string
  world: string
  participants: number
  network: SandboxNetwork
}

function readOptions(args: string[]): ServeOptions {
  const { values } = parseArgs({
    args,
    options: {
      'host-name': { type: 'string' },
      world: { type: 'string', default: '/world' },
      participants: { type: 'string', default: '3' },
      's3-port': { type: 'string', default: '9000' },
      'google-port': { type: 'string', default: '9001' },
      'meet-port': { type: 'string', default: '9443' },
      'control-port': { type: 'string', default: '9080' },
      'public-url': { type: 'string', default: 'http://api:8080' },
    },
  })
  const hostName = values['host-name']
  if (!hostName) throw new BadUsage('--host-name is missing')
  const publicUrl = values['public-url']
  if (!URL.canParse(publicUrl)) throw new BadUsage('--public-url takes an address, such as http://api:8080')
  const number = (name: keyof typeof values, to: number) => {
    const value = Number(values[name])
    if (!Number.isInteger(value) || value < 1 || value > to)
      throw new BadUsage(`--${name} takes a whole number from 1 to ${to}`)
    return value
  }
  const port = (name: keyof typeof values) => number(name, 65_535)
  return {
    publicUrl,
    world: values.world,
    participants: number('participants', 6),
    network: {
      hostName,
      ports: {
        google: port('google-port'),
        s3: port('s3-port'),
        meetWeb: port('meet-port'),
        control: port('control-port'),
      },
      publicS3Endpoint: `http://localhost:${port('s3-port')}`,
    },
  }
}

async function serve({ world, participants, network, publicUrl }: ServeOptions): Promise<void> {
  const stop = new Promise<string>(resolve => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal))
  })
  const settings = join(world, 'settings.sh')
  // Settings of an earlier world name a certificate that no longer is: nobody may start with them.
  await rm(settings, { force: true })
  const dir = join(world, 'sandbox')
  await rm(dir, { recursive: true, force: true })
  await mkdir(dir, { recursive: true })
  await using sandbox = await startSandbox({ dir, calls: { participants }, network, publicUrl })
  const lines = Object.entries(sandbox.env).map(([name, value]) => `export ${name}=${shellWord(value)}\n`)
  await writeFile(`${settings}.new`, lines.join(''), { mode: 0o600 })
  await rename(`${settings}.new`, settings)
  const at = (port: number) => `http://${network.hostName}:${port}`
  process.stdout.write(
    `The sandbox is ready: Google ${sandbox.google.url}, S3 ${at(network.ports.s3)}, Meet on port ${network.ports.meetWeb}, control ${at(network.ports.control)}/_sandbox/meetings\n`,
  )
  const signal = await stop
  process.stdout.write(`The sandbox stops (${signal})\n`)
  await rm(settings, { force: true })
}

const shellWord = (text: string) => `'${text.replaceAll("'", "'\\''")}'`

try {
  await serve(readOptions(process.argv.slice(2)))
} catch (error) {
  const badUsage =
    error instanceof BadUsage || (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS') === true
  process.stderr.write(
    badUsage
      ? `${(error as Error).message}\n\n${USAGE}`
      : `The sandbox cannot run: ${(error as Error).stack ?? String(error)}\n`,
  )
  process.exitCode = 1
}
