import type { Row } from './row.ts'
import { databaseRows } from './rows/database.ts'
import { finishRows } from './rows/finish.ts'
import { googleRows } from './rows/google.ts'
import { callRows } from './rows/in-the-call.ts'
import { machineRows } from './rows/machine.ts'
import { processRows } from './rows/processes.ts'
import { recorderRows } from './rows/recorders.ts'
import { storageRows } from './rows/storage.ts'

/** The fault table, in the order in which it is shown. */
export const ROWS: readonly Row[] = [
  ...processRows,
  ...recorderRows,
  ...databaseRows,
  ...storageRows,
  ...googleRows,
  ...machineRows,
  ...callRows,
  ...finishRows,
]
