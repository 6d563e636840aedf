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

test('the packages that the sandbox’s image adds are development packages', () => {
  const [, names = ''] = /node keep-packages\.ts ([^&]+) &&/.exec(read('Dockerfile.recorder')) ?? []
  const { devDependencies } = JSON.parse(read('package.json')) as { devDependencies: object }
  expect(names.trim()).not.toBe('')
  expect(Object.keys(devDependencies)).toEqual(expect.arrayContaining(names.trim().split(' ')))
})

/** The files and folders of ours in each image, and what of them is started there. */
function imagesOf(dockerfile: string) {
  const stages = read(dockerfile).split(/^FROM /m)
  return stages.flatMap(stage => {
    const copied = [...stage.matchAll(/^COPY (?!--)(.+) \S+$/gm)].flatMap(([, names = '']) =>
      names.split(' '),
    )
    const [, started] = /^CMD \["node", "(.+)"\]$/m.exec(stage) ?? []
    return started === undefined ? [] : [{ copied, started: [started, ...copied.filter(isScript)] }]
  })
}
const isScript = (name: string) => /^scripts\/.+\.ts$/.test(name)

function importedBy(files: readonly string[]): string[] {
  const found = new Set(files)
  for (const file of found)
    for (const [, name = ''] of read(file).matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g))
      found.add(join(file, '..', name))
  return [...found]
}

test.each(['Dockerfile.api', 'Dockerfile.recorder'])(
  'what is imported in the images of %s is in them',
  dockerfile => {
    const images = imagesOf(dockerfile)
    expect(images.length).toBeGreaterThan(0)
    for (const { copied, started } of images) {
      const imported = importedBy(started)
      expect(imported.length).toBeGreaterThan(50)
      const isCopied = (file: string) => copied.some(name => file === name || file.startsWith(`${name}/`))
      expect(imported.filter(file => !isCopied(file))).toEqual([])
    }
  },
)

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
