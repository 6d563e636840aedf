import type { Row } from './row.ts'
import { callRows } from './rows/in-the-call.ts'
import { processRows } from './rows/processes.ts'

/** The fault table, in the order in which it is shown. */
export const ROWS: readonly Row[] = [...processRows, ...callRows]
