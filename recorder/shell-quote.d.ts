declare module 'shell-quote' {
  /** A word, an operator such as `{op: '&&'}`, a glob `{op: 'glob', pattern}` or a comment. */
  export type ShellToken = string | { op: string; pattern?: string } | { comment: string }
  export function parse(text: string, env?: (name: string) => string | object): ShellToken[]
}
