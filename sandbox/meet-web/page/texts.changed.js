// A page whose words nobody has seen: every text of the English table in other words where it decides something.
import { en } from './texts.en.js'

const decisive = {
  readyToJoin: 'Everything set?',
  yourName: 'How should we call you',
  whatsYourName: 'Introduce yourself',
  signIn: 'Identify',
  joinNow: 'Step inside',
  askToJoin: 'Knock gently',
  joinAnyway: 'Step inside regardless',
  switchHere: 'Move over',
  joinHereToo: 'Second screen',
  withoutCamera: '{join}, unseen',
  otherWays: 'Alternatives',
  companion: 'Sidekick',
  terms: 'House rules apply.',
  returnHome: 'Back to the street',
  micOn: 'Speak',
  micOff: 'Hush',
  cameraOn: 'Show',
  cameraOff: 'Hide',
  micProblem: 'No ears found',
  cameraProblem: 'No eyes found',
  lobbyTitle: 'At the door',
  lobbyText: 'Somebody will open',
  lobbyWait: 'Patience is appreciated',
  callControls: 'Levers',
  leaveCall: 'Step outside',
  chat: 'Write to the room',
  people: 'Crowd',
  captionsOn: 'Show words',
  captionsOff: 'Hide words',
  moreOptions: 'Further levers',
  endLeft: 'Outside again',
  endSwitched: 'Seated elsewhere',
  endConnectionLost: 'The line is dead',
  returningHome: 'Walking back',
}

const changed = { ...en, ...decisive }

export { changed }
