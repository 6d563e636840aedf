// What Meet's screens outside the call read, by kind. Data only; normalised as in words.ts.

export type TerminalKind =
  | 'not_found'
  | 'denied'
  | 'lobby_timeout'
  | 'removed'
  | 'switched'
  | 'ended'
  | 'left'
  | 'full_or_locked'
  | 'cannot_join'
  | 'connection_lost'

/** Texts of the screens outside the call, most specific first (meet-web-facts.md §5, meet-dom-structures.md §7, §11.3). */
export const TERMINAL: readonly { kind: TerminalKind; texts: readonly string[] }[] = [
  {
    kind: 'not_found',
    texts: [
      'check your meeting code',
      'invalid video call name',
      'your meeting code has expired',
      "the meeting code you entered doesn't work",
      'meeting not found',
      'meeting link expired',
      'invalid meeting',
      'comprueba el codigo',
      'revisa el codigo',
      'verifica el codigo',
      'codigo de la reunion no valido',
      'el codigo de reunion no es valido',
      'nombre de videollamada no valido',
      'la reunion no existe',
      'el codigo de la reunion ha caducado',
      'el codigo de la reunion vencio',
    ],
  },
  {
    kind: 'denied',
    texts: [
      'denied your request to join',
      'your request to join was denied',
      'you were denied',
      "weren't allowed to join",
      'were not allowed to join',
      'you were not admitted',
      'rechazo tu solicitud para unirte',
      'ha rechazado tu solicitud',
      'rechazaron tu solicitud',
      'no se te ha admitido',
      'se ha denegado tu solicitud',
      'se denego tu solicitud',
      'denego tu solicitud',
    ],
  },
  {
    kind: 'lobby_timeout',
    texts: [
      'no one responded to your request to join',
      'nobody responded to your request to join',
      'nadie respondio a tu solicitud',
      'nadie ha respondido a tu solicitud',
      'no se ha respondido a tu solicitud',
    ],
  },
  {
    kind: 'removed',
    texts: [
      "you've been removed from the meeting",
      'you were removed from the meeting',
      'you have been removed from the meeting',
      'been removed from the meeting',
      'removed from the meeting',
      'removed from meeting',
      "you've been removed from the call",
      'you were removed from the call',
      'te quitaron de la reunion',
      'te han quitado de la reunion',
      'te han eliminado de la reunion',
      'te eliminaron de la reunion',
      'te quito de la reunion',
      'te sacaron de la reunion',
      'te quitaron de la llamada',
      'te han quitado de la llamada',
      'te han eliminado de la llamada',
    ],
  },
  {
    // The account went on on another device ("Switch here"); nobody has a capture of these words.
    kind: 'switched',
    texts: [
      'you switched to another device',
      "you've switched to another device",
      'switched to another device',
      'switched to a different device',
      'you switched devices',
      'switched the call to another device',
      'moved to another device',
      'transferred to another device',
      'continued on another device',
      "you're now in this call on another device",
      'you joined from another device',
      'joined from another device',
      'cambiado a otro dispositivo',
      'cambiaste a otro dispositivo',
      'cambiaste de dispositivo',
      'has cambiado de dispositivo',
      'se transfirio a otro dispositivo',
      'se ha transferido a otro dispositivo',
      'continua en otro dispositivo',
      'te uniste desde otro dispositivo',
      'te has unido desde otro dispositivo',
    ],
  },
  {
    kind: 'full_or_locked',
    texts: [
      'this meeting has been locked',
      'this meeting is locked',
      'meeting is full',
      'this call is full',
      'this video call is full',
      'la reunion esta llena',
      'la llamada esta llena',
      'la videollamada esta llena',
      'la reunion esta bloqueada',
      'se ha bloqueado esta reunion',
      'se bloqueo esta reunion',
    ],
  },
  {
    kind: 'cannot_join',
    texts: [
      "you can't join this video call",
      "you can't join this call",
      "you can't join this meeting",
      'you cannot join this video call',
      'there is a problem connecting to this video call',
      'we encountered a problem joining',
      'unable to join',
      'access denied',
      // Seen as a refusal, not as a matter of the session (meet-web-facts.md §5).
      'your sign-in credentials might have changed',
      'no puedes unirte a esta videollamada',
      'no puedes unirte a esta videoconferencia',
      'no puedes unirte a esta llamada',
      'no puedes unirte a esta reunion',
      'no te puedes unir a esta videollamada',
      'no puedes participar en esta videollamada',
    ],
  },
  {
    kind: 'ended',
    texts: [
      'your host ended the meeting for everyone',
      'the host ended the meeting for everyone',
      'ended the call for everyone',
      'the call ended because everyone left',
      'meeting ended',
      'the meeting has ended',
      'this meeting has ended',
      'the meeting ended',
      'call ended',
      'the call ended',
      'the call has ended',
      'this call has ended',
      'la reunion ha terminado',
      'la llamada ha terminado',
      'la reunion termino',
      'la llamada termino',
      'la reunion ha finalizado',
      'la llamada ha finalizado',
      'la reunion finalizo',
      'la llamada finalizo',
      'el organizador ha finalizado la reunion',
      'el organizador finalizo la reunion',
      'finalizo la reunion para todos',
      'ha finalizado la reunion para todos',
      'finalizo la llamada para todos',
      'ha finalizado la llamada para todos',
    ],
  },
  {
    kind: 'left',
    texts: [
      'you left the meeting',
      "you've left the meeting",
      'you left the call',
      "you've left the call",
      'saliste de la reunion',
      'has salido de la reunion',
      'saliste de la llamada',
      'has salido de la llamada',
      'has abandonado la reunion',
      'abandonaste la reunion',
    ],
  },
  {
    kind: 'connection_lost',
    texts: [
      'connection lost',
      'you lost your network connection',
      'lost connection',
      'unable to connect',
      'se perdio la conexion',
      'se ha perdido la conexion',
      'conexion perdida',
    ],
  },
]

/** The `ended` screen's reasons that say that nobody was left. */
export const ENDED_AS_EMPTY: readonly string[] = [
  'everyone left',
  'todos salieron',
  'todos han salido',
  'todo el mundo salio',
]
