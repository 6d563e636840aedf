// Meet's dialogs: by which words each is known and which button answers it. Data only; normalised as in words.ts.
// Sources: meet-web-facts.md §3.2, §3.4, §7; meet-dom-structures.md §3.4, §6.

/** Where a dialog may be answered: before the call, in the waiting room, in the call. */
export type DialogPlace = 'before' | 'waiting' | 'call'

export interface DialogPattern {
  name: string
  places: readonly DialogPlace[]
  /** Any of these in the dialog's label or text. */
  says: readonly string[]
  /** The buttons to press, best first: an `action` is `data-mdc-dialog-action`, texts and jsnames of the button. */
  press: { actions?: readonly string[]; texts: readonly string[]; jsnames?: readonly string[] }
}

const INFO_BUTTONS = [
  'got it',
  'ok',
  'dismiss',
  'not now',
  'entendido',
  'aceptar',
  'descartar',
  'ahora no',
  'de acuerdo',
]

/**
 * First match wins. The notices that Meet puts before a call's sound and picture come first: closing one instead of
 * agreeing puts the bot out of the call (meet-web-facts.md §7).
 */
export const DIALOGS: readonly DialogPattern[] = [
  {
    name: 'recording_notice',
    places: ['before', 'waiting', 'call'],
    says: [
      'is being recorded',
      'is being transcribed',
      'being recorded and transcribed',
      'gemini is taking notes',
      'take notes for me',
      'will be shared with',
      'is taking notes',
      'se esta grabando',
      'se esta transcribiendo',
      'gemini esta tomando notas',
      'se compartiran con',
      'se compartira con',
      'esta tomando notas',
      'estan grabando esta',
    ],
    press: {
      actions: ['ok'],
      texts: ['join now', 'unirme ahora', 'unirse ahora', 'unirte ahora', 'participar ahora'],
    },
  },
  {
    name: 'still_there',
    places: ['waiting', 'call'],
    says: [
      'are you still there',
      "you're the only one here",
      'stay in the call',
      'keep waiting',
      'sigues ahi',
      'todavia estas ahi',
      'permanecer en la llamada',
      'eres la unica persona',
    ],
    press: {
      texts: [
        'stay in the call',
        'stay in call',
        'stay',
        'keep waiting',
        "i'm still here",
        'permanecer en la llamada',
        'seguir en la llamada',
        'quedarme en la llamada',
        'quedarse en la llamada',
        'seguir esperando',
        'continuar esperando',
      ],
    },
  },
  {
    name: 'no_devices',
    places: ['before'],
    says: [
      'do you want people to see and hear you',
      'do you want people to hear you',
      'use microphone and camera',
      'without microphone and camera',
      'without microphone',
      'quieres que te vean y te oigan',
      'quieres que te vean y te escuchen',
      'quieres que los demas te',
      'sin microfono ni camara',
      'sin microfono y camara',
      'sin microfono',
      'usar microfono y camara',
    ],
    press: {
      texts: [
        'continue without microphone and camera',
        'continue without microphone',
        'continue without camera',
        'continuar sin microfono ni camara',
        'continuar sin microfono y camara',
        'continuar sin microfono',
        'continuar sin camara',
        'not now',
        'ahora no',
      ],
    },
  },
  {
    name: 'sign_in_promotion',
    places: ['before'],
    says: [
      'sign in with your google account',
      'instead of waiting to be let in',
      'inicia sesion con tu cuenta de google',
    ],
    press: {
      texts: ['use without an account', 'usar sin una cuenta', 'continuar sin una cuenta', ...INFO_BUTTONS],
      jsnames: ['IbE0S'],
    },
  },
  {
    name: 'cookies',
    places: ['before'],
    says: ['before you continue to google', 'antes de ir a google', 'antes de continuar a google'],
    press: { texts: ['reject all', 'rechazar todo'] },
  },
  {
    name: 'addon_offer',
    places: ['call'],
    says: [
      'make sure everyone is ready',
      'asegurate de que todos estan preparados',
      'asegurate de que todos esten listos',
    ],
    press: { texts: ['cancel', 'cancelar'] },
  },
  {
    name: 'device_missing',
    places: ['before', 'waiting', 'call'],
    says: [
      'microphone not found',
      'camera not found',
      'microfono no encontrado',
      'camara no encontrada',
      'no se encontro el microfono',
      'no se encontro la camara',
    ],
    press: { texts: ['close', 'dismiss', 'cerrar', 'descartar', ...INFO_BUTTONS] },
  },
  {
    name: 'others_see_differently',
    places: ['before', 'call'],
    says: [
      'others may see your video differently',
      'others may see your meeting differently',
      'others might still see your full video',
      'your screen may not appear to others',
      'otras personas pueden ver tu video de otra forma',
      'es posible que los demas vean',
      'puede que otros vean',
    ],
    press: { actions: ['ok'], texts: INFO_BUTTONS },
  },
  {
    name: 'your_mic_is_off',
    places: ['call'],
    says: ['are you talking? your mic is off', 'estas hablando'],
    press: { texts: ['close', 'dismiss', 'cerrar', 'descartar', ...INFO_BUTTONS] },
  },
]

/** An unknown window over the call with one of these on it is a mere hint. Anything else unknown stays untouched. */
export const HINT_BUTTONS: readonly string[] = ['got it', 'entendido']

/** Windows that go by themselves or that hide nothing; never answered (§6). */
export const LEFT_ALONE: readonly string[] = [
  'your call ends in',
  'free group calls have a limit',
  'tu llamada finaliza en',
  'tu llamada termina en',
  'las llamadas grupales gratuitas',
  'people in the call',
  'personas en la llamada',
]
