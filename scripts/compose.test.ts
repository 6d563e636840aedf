import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { describeSettings } from '../config.ts'

const root = join(import.meta.dirname, '..')
const read = (name: string) => readFileSync(join(root, name), 'utf8')

/** Fixed by the images or by docker-compose.yml itself: the place of things inside a container. */
const FIXED = ['CHROMIUM_PATH', 'DATABASE_URL', 'PORT', 'TESTIGO_DATA_DIR', 'TESTIGO_HOST']

test('docker-compose.yml hands every setting of .env on, without a default of its own', () => {
  const settings = read('docker-compose.yml').split('x-settings:')[1]?.split('\nservices:')[0] ?? ''
  const handedOn = [...settings.matchAll(/^ {2}(\w+):$/gm)].map(([, name]) => name)
  const wanted = describeSettings().map(({ name }) => name)
  expect(handedOn.sort()).toEqual(wanted.filter(name => !FIXED.includes(name)).sort())
})

test('the images keep exactly the APIs of googleapis that our code imports', () => {
  const kept = [...read('deploy/trim-packages.sh').matchAll(/! -name (\w+)/g)].map(([, name]) => name)
  const imported = readdirSync(join(root, 'google'))
    .filter(name => name.endsWith('.ts') && !/^test-|\.test\.ts$/.test(name))
    .flatMap(name => [...read(`google/${name}`).matchAll(/googleapis\/build\/src\/apis\/(\w+)/g)])
    .map(([, name]) => name)
  expect([...new Set(imported)].sort()).toEqual(kept.sort())
})

test("Chromium's seccomp profile lets it make namespaces and change its root, and nothing of CAP_SYS_ADMIN's besides", () => {
  const { syscalls } = JSON.parse(read('deploy/chromium-seccomp.json')) as {
    syscalls: { names: string[]; action: string; includes?: object; args?: unknown[] }[]
  }
  const free = syscalls.filter(
    rule => rule.action === 'SCMP_ACT_ALLOW' && !Object.keys(rule.includes ?? {}).length && !rule.args,
  )
  const allowed = new Set(free.flatMap(rule => rule.names))
  const asked = ['clone', 'unshare', 'chroot', 'mount', 'setns', 'bpf', 'reboot', 'init_module']
  expect(asked.filter(name => allowed.has(name))).toEqual(['clone', 'unshare', 'chroot'])
})
