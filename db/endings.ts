/**
 * Every reason why an attempt or a meeting's recording ended, in one table (vocabulary after Recall.ai's sub codes,
 * anchors-features.md). API, logs and rows use these words unchanged; consumers must accept words added later.
 *
 * scope: whose matter it is. held: whether a call took place as far as the bot could see.
 * tryAgain: whether another attempt can help while the meeting is still on.
 */
export const ENDINGS = {
  call_ended_by_host: {
    scope: 'meeting',
    held: 'yes',
    tryAgain: false,
    en: 'The host ended the call for everyone.',
    es: 'El anfitrión finalizó la llamada para todos.',
  },
  everyone_left: {
    scope: 'meeting',
    held: 'yes',
    tryAgain: false,
    en: 'Everyone left the call.',
    es: 'Todos salieron de la llamada.',
  },
  only_bots_left: {
    scope: 'meeting',
    held: 'yes',
    tryAgain: false,
    en: 'Only recording bots were left in the call.',
    es: 'Solo quedaban bots de grabación en la llamada.',
  },
  left_by_request: {
    scope: 'meeting',
    held: 'yes',
    tryAgain: false,
    en: 'The bot left because the meeting was cancelled or a person asked it to stop.',
    es: 'El bot salió porque la reunión se canceló o alguien pidió detenerlo.',
  },
  longest_call_reached: {
    scope: 'meeting',
    held: 'yes',
    tryAgain: false,
    en: 'The call went on past the longest time a recording may take.',
    es: 'La llamada superó el tiempo máximo de grabación.',
  },
  removed_from_call: {
    scope: 'meeting',
    held: 'yes',
    tryAgain: true,
    en: 'Somebody in the call removed the recording bot.',
    es: 'Alguien de la llamada quitó al bot de grabación.',
  },
  switched_elsewhere: {
    scope: 'account',
    held: 'yes',
    tryAgain: true,
    en: "The bot's account was switched to another device that joined the call.",
    es: 'La cuenta del bot se cambió a otro dispositivo que se unió a la llamada.',
  },
  nobody_came: {
    scope: 'meeting',
    held: 'no',
    tryAgain: false,
    en: 'Nobody came to the meeting.',
    es: 'Nadie asistió a la reunión.',
  },
  join_denied: {
    scope: 'meeting',
    held: 'unknown',
    tryAgain: true,
    en: "Somebody in the call denied the bot's request to join.",
    es: 'Alguien de la llamada rechazó la solicitud del bot para unirse.',
  },
  waiting_room_timeout: {
    scope: 'meeting',
    held: 'unknown',
    tryAgain: true,
    en: "Nobody answered the bot's request to join.",
    es: 'Nadie respondió a la solicitud del bot para unirse.',
  },
  put_out_of_empty_call: {
    scope: 'meeting',
    held: 'unknown',
    tryAgain: true,
    en: 'Google Meet emptied the call while the bot was alone in it.',
    es: 'Google Meet vació la llamada mientras el bot estaba solo en ella.',
  },
  meeting_not_found: {
    scope: 'meeting',
    held: 'no',
    tryAgain: false,
    en: 'Google Meet does not know this meeting code.',
    es: 'Google Meet no reconoce este código de reunión.',
  },
  cannot_join: {
    scope: 'account',
    held: 'unknown',
    tryAgain: true,
    en: 'Google Meet refused the bot: "You can\'t join this video call".',
    es: 'Google Meet rechazó al bot: «No puedes unirte a esta videollamada».',
  },
  meeting_full_or_locked: {
    scope: 'meeting',
    held: 'yes',
    tryAgain: true,
    en: 'The call is full or locked.',
    es: 'La llamada está llena o bloqueada.',
  },
  sign_in_required: {
    scope: 'account',
    held: 'unknown',
    tryAgain: false,
    en: 'Google Meet asks the bot to sign in. Sign the bot account in again with "npm run sign-in-bot".',
    es: 'Google Meet pide al bot que inicie sesión. Vuelva a iniciar la sesión del bot con «npm run sign-in-bot».',
  },
  bot_not_signed_in: {
    scope: 'account',
    held: 'unknown',
    tryAgain: false,
    en: 'The bot\'s profile is not signed in, or with another account. Run "npm run sign-in-bot".',
    es: 'El perfil del bot no tiene la sesión iniciada, o es de otra cuenta. Ejecute «npm run sign-in-bot».',
  },
  unknown_screen: {
    scope: 'outside',
    held: 'unknown',
    tryAgain: true,
    en: 'Google Meet showed a screen the bot does not know; a picture and the page are kept as artefacts.',
    es: 'Google Meet mostró una pantalla que el bot no conoce; se guardan una imagen y la página como evidencia.',
  },
  page_not_reached: {
    scope: 'outside',
    held: 'unknown',
    tryAgain: true,
    en: "Google Meet's page could not be loaded.",
    es: 'No se pudo cargar la página de Google Meet.',
  },
  connection_lost: {
    scope: 'outside',
    held: 'yes',
    tryAgain: true,
    en: 'The connection to the call was lost.',
    es: 'Se perdió la conexión con la llamada.',
  },
  page_frozen: {
    scope: 'recorder',
    held: 'yes',
    tryAgain: true,
    en: "The call's page stopped answering.",
    es: 'La página de la llamada dejó de responder.',
  },
  browser_died: {
    scope: 'recorder',
    held: 'unknown',
    tryAgain: true,
    en: "The browser or the call's page crashed.",
    es: 'El navegador o la página de la llamada falló.',
  },
  capture_failed: {
    scope: 'recorder',
    held: 'unknown',
    tryAgain: true,
    en: 'Picture and sound stopped coming out of the browser or the encoder.',
    es: 'Dejaron de llegar imagen y sonido desde el navegador o el codificador.',
  },
  storage_failed: {
    scope: 'outside',
    held: 'unknown',
    tryAgain: true,
    en: 'Segments could not be stored.',
    es: 'No se pudieron almacenar los segmentos.',
  },
  recorder_died: {
    scope: 'recorder',
    held: 'unknown',
    tryAgain: true,
    en: 'The recorder process died.',
    es: 'El proceso de grabación falló.',
  },
  recorder_stopped: {
    scope: 'recorder',
    held: 'unknown',
    tryAgain: true,
    en: 'The recorder was told to stop (deployment or scale-in).',
    es: 'Se ordenó detener el grabador (despliegue o reducción de escala).',
  },
  room_changed: {
    scope: 'outside',
    held: 'unknown',
    tryAgain: true,
    en: 'The meeting was given another link while the bot was alone; it goes to the new room.',
    es: 'La reunión recibió otro enlace mientras el bot estaba solo; el bot va a la nueva sala.',
  },
  handed_over: {
    scope: 'recorder',
    held: 'yes',
    tryAgain: false,
    en: 'Another recorder took over while this one was still recording.',
    es: 'Otro grabador tomó el relevo mientras este aún grababa.',
  },
  recorder_error: {
    scope: 'recorder',
    held: 'unknown',
    tryAgain: true,
    en: 'The recorder met an error it does not know; see the log.',
    es: 'El grabador encontró un error desconocido; consulte el registro.',
  },
  missed: {
    scope: 'recorder',
    held: 'unknown',
    tryAgain: false,
    en: 'No recorder took the meeting before it was over.',
    es: 'Ningún grabador tomó la reunión antes de que terminara.',
  },
  finish_failed: {
    scope: 'recorder',
    held: 'yes',
    tryAgain: false,
    en: 'The segments are stored, but the video could not be made from them.',
    es: 'Los segmentos están almacenados, pero no se pudo crear el vídeo.',
  },
} as const satisfies Record<string, EndingFacts>

interface EndingFacts {
  scope: 'meeting' | 'account' | 'recorder' | 'outside'
  held: 'yes' | 'no' | 'unknown'
  tryAgain: boolean
  en: string
  es: string
}

export type Ending = keyof typeof ENDINGS

/** The words, in table order (for the database's check and the API's schema). */
export const ENDING_WORDS = Object.keys(ENDINGS) as [Ending, ...Ending[]]
