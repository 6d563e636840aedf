import type { Row } from './row.ts'
import { callRows } from './rows/in-the-call.ts'
import { processRows } from './rows/processes.ts'
import { recorderRows } from './rows/recorders.ts'

/** The fault table, in the order in which it is shown. */
export const ROWS: readonly Row[] = [...processRows, ...recorderRows, ...callRows]
