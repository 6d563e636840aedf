import { lookup, Resolver } from 'node:dns/promises'
import { BlockList, isIP } from 'node:net'

/** Where a webhook may go: public addresses, unless the operator allows private ones. */

export interface Address {
  address: string
  family: 4 | 6
}

/** Asks for every address of a name. Rejects when there is none. */
export type Resolve = (name: string) => Promise<Address[]>

/**
 * How this process asks for names. Public ones are asked of the name servers directly: the system's own look-up holds one
 * of few threads for as long as a name server keeps silent, and callers choose whose names these are. Where private
 * receivers are allowed the system's is used, which knows its hosts file.
 * @param nameServers in the place of the machine's own, `address:port`
 */
export function createResolve(allowPrivate: boolean, nameServers?: string[]): Resolve {
  if (allowPrivate) return askSystem
  const resolver = new Resolver({ timeout: NAME_SERVER_MS, tries: 2 })
  if (nameServers) resolver.setServers(nameServers)
  return async name => {
    const [four, six] = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)])
    if (four.status === 'rejected' && six.status === 'rejected') throw four.reason
    return [
      ...(four.status === 'fulfilled' ? four.value : []).map(address => ({ address, family: 4 as const })),
      ...(six.status === 'fulfilled' ? six.value : []).map(address => ({ address, family: 6 as const })),
    ]
  }
}

const NAME_SERVER_MS = 2500

async function askSystem(name: string): Promise<Address[]> {
  const found = await lookup(name, { all: true, order: 'verbatim' })
  return found.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }))
}

/** A webhook may not go there; the message says why and is the caller's to see. */
export class DestinationRefused extends Error {
  readonly code = 'address_refused'
}

const blocked = (ranges: string[]) => {
  const list = new BlockList()
  for (const range of ranges) {
    const [network = '', bits] = range.split('/')
    list.addSubnet(network, Number(bits), network.includes(':') ? 'ipv6' : 'ipv4')
  }
  return list
}

// No receiver stands there, whatever is allowed: "this host", link-local, multicast, reserved, broadcast, and where clouds
// keep their machines' credentials: link-local too, and in IPv6 of AWS and Google, at Alibaba, and Azure's "wire server",
// which has a public address.
const NEVER = blocked([
  '0.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '::/128',
  'fe80::/10',
  'ff00::/8',
  'fd00:ec2::/32',
  'fd20:ce::/32',
  '100.100.100.200/32',
  '168.63.129.16/32',
])

// IANA's special-purpose registries: private, loopback, carrier NAT, protocol assignments, documentation, benchmarking,
// 6to4 relays; of IPv6 whatever inside 2000::/3 is not for everybody or carries an IPv4 address within.
const PRIVATE = blocked([
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  '3fff::/20',
])

// The only global unicast of IPv6: loopback, mapped and translated IPv4 (NAT64), local and site addresses lie outside.
const GLOBAL_IPV6 = blocked(['2000::/3'])

// `::ffff:0:0/96` and NAT64's `64:ff9b::/96` carry an IPv4 address that the lists above would not see.
const CARRIES_IPV4 = blocked(['::ffff:0:0/96', '::/96', '64:ff9b::/96', '64:ff9b:1::/48'])

/** May a webhook go to this address? */
export function addressAllowed(address: string, allowPrivate: boolean): boolean {
  const kind = isIP(address)
  // An address with a zone (fe80::1%eth0) is of this machine's own network.
  if (kind === 0 || address.includes('%')) return false
  if (kind === 4) return !NEVER.check(address) && (allowPrivate || !PRIVATE.check(address))
  if (NEVER.check(address, 'ipv6')) return false
  if (allowPrivate) return address === '::1' || !CARRIES_IPV4.check(address, 'ipv6')
  return GLOBAL_IPV6.check(address, 'ipv6') && !PRIVATE.check(address, 'ipv6')
}

/**
 * What is wrong with an address to post to, as far as it can be told without asking for names; undefined when nothing is.
 */
export function urlFault(text: string, allowPrivate: boolean): string | undefined {
  if (!URL.canParse(text)) return 'must be an address such as https://erp.example/testigo'
  const url = new URL(text)
  if (url.protocol !== 'https:' && !(allowPrivate && url.protocol === 'http:'))
    return 'must begin with https://'
  if (url.username || url.password) return 'must not contain a user name or password'
  if (url.hash || text.includes('#')) return 'must not contain a #'
  const host = hostOf(url)
  const local = !allowPrivate && /^(.+\.)?localhost\.?$/.test(host)
  if (local || (isIP(host) !== 0 && !addressAllowed(host, allowPrivate)))
    return 'is a private or reserved address; webhooks go to public ones'
  return undefined
}

/**
 * The addresses to connect to, each of them checked. Connect to these and ask for no name again: between two look-ups
 * a name can change what it points at.
 * @throws {DestinationRefused} when one of them is not allowed; what `resolve` rejects with
 */
export async function checkedAddresses(
  url: URL,
  allowPrivate: boolean,
  resolve: Resolve,
): Promise<Address[]> {
  const fault = urlFault(url.href, allowPrivate)
  if (fault) throw new DestinationRefused(`the address ${fault}`)
  const host = hostOf(url)
  const kind = isIP(host)
  if (kind !== 0) return [{ address: host, family: kind === 6 ? 6 : 4 }]
  const addresses = await resolve(host)
  if (addresses.length === 0 || addresses.some(({ address }) => !addressAllowed(address, allowPrivate)))
    throw new DestinationRefused(`the name ${host} points at a private or reserved address`)
  return addresses
}

function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '')
}
