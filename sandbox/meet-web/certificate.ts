import { createHash, webcrypto } from 'node:crypto'
import './reflect-metadata.ts'
import * as x509 from '@peculiar/x509'

export type Certificate = {
  keyPem: string
  certificatePem: string
  /** Base64 SHA-256 of the public key, as `--ignore-certificate-errors-spki-list` wants it. */
  spkiSha256: string
}

const DAY_MS = 86_400_000

/**
 * Makes a self-signed certificate for the given host names, valid from yesterday for 30 days.
 * A new key every time: no private key lies on a disk or in the repository.
 */
export async function makeCertificate(hostNames: string[]): Promise<Certificate> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const provider = webcrypto as unknown as Crypto
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: Buffer.from(webcrypto.getRandomValues(new Uint8Array(8))).toString('hex'),
      name: `CN=${hostNames[0]}, O=Testigo sandbox`,
      notBefore: new Date(Date.now() - DAY_MS),
      notAfter: new Date(Date.now() + 30 * DAY_MS),
      signingAlgorithm: algorithm,
      keys: keys as unknown as CryptoKeyPair,
      extensions: [
        new x509.BasicConstraintsExtension(false),
        new x509.SubjectAlternativeNameExtension(hostNames.map(value => ({ type: 'dns' as const, value }))),
      ],
    },
    provider,
  )
  const privateKey = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)
  const publicKey = await webcrypto.subtle.exportKey('spki', keys.publicKey)
  return {
    keyPem: x509.PemConverter.encode(privateKey, 'PRIVATE KEY'),
    certificatePem: certificate.toString('pem'),
    spkiSha256: createHash('sha256').update(Buffer.from(publicKey)).digest('base64'),
  }
}
