/** The HTML documents the server hands out; all content of a meeting's page is drawn by `page/app.js`. */

/** Frame of the app: meet-dom-structures.md §1. */
export function meetingDocument(code: string, language: string): string {
  return `<!doctype html>
<html lang="${language}" dir="ltr"><head><meta charset="utf-8"><title>Meet - ${code}</title>
<link rel="canonical" href="https://meet.google.com/${code}">
<link rel="stylesheet" href="/_sandbox/page/style.css">
<link rel="stylesheet" href="/_sandbox/page/call.css">
<script type="module" src="/_sandbox/page/app.js"></script></head>
<body jscontroller="pjICDe"><div id="yDmH0d"></div></body></html>`
}

/** Where the countdown of an end screen leads; signed out it is a marketing page without jsaction (§2). */
export function landingDocument(language: string, signedIn: boolean): string {
  const spanish = language.startsWith('es')
  const box = spanish ? 'Introduce un código o enlace' : 'Enter a code or link'
  const signIn = spanish ? 'Iniciar sesión' : 'Sign in'
  const newMeeting = spanish ? 'Nueva reunión' : 'New meeting'
  const start = signedIn
    ? `<button jsname="CuSyi" aria-label="${newMeeting}">${newMeeting}</button>`
    : `<a href="https://accounts.google.com/ServiceLogin?continue=https://meet.google.com/">${signIn}</a>`
  return `<!doctype html>
<html lang="${language}" dir="ltr"><head><meta charset="utf-8"><title>Google Meet</title></head>
<body><h1>Google Meet</h1>${start}<input type="text" placeholder="${box}" aria-label="${box}"></body></html>`
}

export function playersDocument(): string {
  return `<!doctype html><title>Participants</title>
<script type="module" src="/_sandbox/players/players.in-page.js"></script>`
}

/** Google's sign-in form, only so far that a person (or a bot that ends up here) sees where it is. */
export function signInDocument(continueUrl: string, language: string): string {
  const spanish = language.startsWith('es')
  const words = spanish
    ? {
        title: 'Inicia sesión',
        sub: 'Usa tu cuenta de Google para continuar a Google Meet',
        email: 'Correo electrónico',
        name: 'Nombre',
        next: 'Siguiente',
      }
    : {
        title: 'Sign in',
        sub: 'Use your Google Account to continue to Google Meet',
        email: 'Email or phone',
        name: 'Name',
        next: 'Next',
      }
  return `<!doctype html>
<html lang="${language}" dir="ltr"><head><meta charset="utf-8"><title>${words.title} - Google Accounts</title></head>
<body><h1>${words.title}</h1><p>${words.sub}</p>
<form action="/_sandbox/sign-in"><input type="hidden" name="continue" value="${escapeHtml(continueUrl)}">
<label>${words.email} <input id="identifierId" type="email" name="email" required></label>
<label>${words.name} <input type="text" name="name" required></label>
<button>${words.next}</button></form></body></html>`
}

export function accountDocument(name: string, email: string): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Google Account</title></head>
<body><h1>Welcome, ${escapeHtml(name)}</h1><p>${escapeHtml(email)}</p></body></html>`
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
