import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { describe, expect, onTestFinished, test } from 'vitest'
import { addressAllowed, checkedAddresses, createResolve, urlFault } from './destination.ts'

const PUBLIC = [
  '8.8.8.8',
  '190.85.1.1',
  '172.32.0.1',
  '100.128.0.1',
  '192.0.1.1',
  '2600:1f18::1',
  '2800:e2::7',
]
const PRIVATE = [
  '127.0.0.1',
  '127.255.255.254',
  '10.0.0.1',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.10',
  '100.64.0.1',
  '100.127.255.255',
  '192.0.2.1',
  '198.18.0.1',
  '::1',
  'fd12:3456::1',
  'fc00::1',
  'fec0::1',
]
const NEVER = [
  '0.0.0.0',
  '0.1.2.3',
  '169.254.169.254',
  '224.0.0.1',
  '239.255.255.255',
  '255.255.255.255',
  '::',
  'fe80::1',
  'fe80::1%eth0',
  'ff02::1',
  'fd00:ec2::254',
  'fd20:ce::254',
  '100.100.100.200',
  '168.63.129.16',
  '::ffff:127.0.0.1',
  '::ffff:10.0.0.1',
  '::ffff:169.254.169.254',
  '::ffff:8.8.8.8',
  '::7f00:1',
  '64:ff9b::7f00:1',
  '64:ff9b::a9fe:a9fe',
  '64:ff9b:1::a00:1',
  'not an address',
  '',
]
const TUNNELS = ['2002:7f00:1::', '2001:0:7f00:1::1', '2001:db8::1', '3fff::1']

describe('an address', () => {
  test.each(PUBLIC)('%s is public and always allowed', address => {
    expect(addressAllowed(address, false)).toBe(true)
    expect(addressAllowed(address, true)).toBe(true)
  })
  test.each([...PRIVATE, ...TUNNELS])('%s is refused unless private ones are allowed', address => {
    expect(addressAllowed(address, false)).toBe(false)
    expect(addressAllowed(address, true)).toBe(true)
  })
  test.each(NEVER)('"%s" is refused whatever is allowed', address => {
    expect(addressAllowed(address, false)).toBe(false)
    expect(addressAllowed(address, true)).toBe(false)
  })
})

describe('a URL', () => {
  test.each(['https://erp.example/hook', 'https://erp.example:8443/hook?tenant=7', 'https://8.8.8.8/'])(
    '%s is taken',
    url => {
      expect(urlFault(url, false)).toBeUndefined()
    },
  )
  test.each([
    ['http://erp.example/hook', 'https'],
    ['ftp://erp.example/hook', 'https'],
    ['file:///etc/passwd', 'https'],
    ['gopher://127.0.0.1:25/_MAIL', 'https'],
    ['erp.example/hook', 'must be an address'],
    ['https://user:word@erp.example/', 'user name'],
    ['https://erp.example/#part', '#'],
    ['https://localhost/', 'private'],
    ['https://api.localhost./', 'private'],
    ['https://127.0.0.1/', 'private'],
    ['https://2130706433/', 'private'],
    ['https://0x7f.1/', 'private'],
    ['https://0177.0.0.1/', 'private'],
    ['https://[::1]/', 'private'],
    ['https://[::ffff:127.0.0.1]/', 'private'],
    ['https://169.254.169.254/latest/meta-data/', 'private'],
  ])('%s is refused: %s', (url, why) => {
    expect(urlFault(url, false)).toContain(why)
  })
  test('of loopback over plain http is taken where private ones are allowed, the metadata server never is', () => {
    expect(urlFault('http://127.0.0.1:8080/hook', true)).toBeUndefined()
    expect(urlFault('http://localhost/hook', true)).toBeUndefined()
    expect(urlFault('http://169.254.169.254/', true)).toContain('private or reserved')
  })
})

describe('a name', () => {
  const resolveTo =
    (...addresses: string[]) =>
    async () =>
      addresses.map(address => ({ address, family: address.includes(':') ? (6 as const) : (4 as const) }))
  const url = new URL('https://erp.example/hook')

  test('that points at public addresses gives all of them', async () => {
    const found = await checkedAddresses(url, false, resolveTo('8.8.8.8', '2600::1'))
    expect(found.map(({ address }) => address)).toEqual(['8.8.8.8', '2600::1'])
  })
  test('of which one address is private is refused as a whole', async () => {
    await expect(checkedAddresses(url, false, resolveTo('8.8.8.8', '10.1.2.3'))).rejects.toMatchObject({
      code: 'address_refused',
    })
  })
  test('that points nowhere is refused', async () => {
    await expect(checkedAddresses(url, true, resolveTo())).rejects.toMatchObject({ code: 'address_refused' })
  })
  test('is not asked for where the URL holds an address', async () => {
    const never = async () => {
      throw new Error('asked')
    }
    expect(await checkedAddresses(new URL('https://8.8.4.4/'), false, never)).toEqual([
      { address: '8.8.4.4', family: 4 },
    ])
  })
})

describe('a name server', () => {
  /** Answers every question of type A with one address, or not at all; of other types it knows nothing (RFC 1035 §4). */
  async function nameServer(address?: string): Promise<string> {
    const socket = createSocket('udp4')
    socket.on('message', (question, from) => {
      if (!address) return
      const endOfName = question.indexOf(0, 12)
      const asked = question.subarray(0, endOfName + 5)
      const isA = question.readUInt16BE(endOfName + 1) === 1
      const head = Buffer.from(asked)
      head.writeUInt16BE(0x8180, 2)
      head.writeUInt16BE(isA ? 1 : 0, 6)
      head.writeUInt32BE(0, 8)
      const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, ...address.split('.').map(Number)])
      socket.send(isA ? Buffer.concat([head, record]) : head, from.port, from.address)
    })
    socket.bind(0, '127.0.0.1')
    await once(socket, 'listening')
    onTestFinished(() => void socket.close())
    return `127.0.0.1:${socket.address().port}`
  }
  const url = new URL('https://erp.example/hook')

  test('that knows a public address is believed', async () => {
    const resolve = createResolve(false, [await nameServer('190.85.1.1')])
    expect(await checkedAddresses(url, false, resolve)).toEqual([{ address: '190.85.1.1', family: 4 }])
  })
  test('that points at this machine is not', async () => {
    const resolve = createResolve(false, [await nameServer('127.0.0.1')])
    await expect(checkedAddresses(url, false, resolve)).rejects.toMatchObject({ code: 'address_refused' })
  })
  test('that keeps silent is given up', async () => {
    const resolve = createResolve(false, [await nameServer()])
    await expect(resolve('erp.example')).rejects.toMatchObject({ syscall: 'queryA', code: 'ETIMEOUT' })
  })
})
