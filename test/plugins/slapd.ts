/** For tests: a real directory, Debian's slapd, with users of its own in a folder that goes with it. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeCertificate } from '../../src/config/self-signed.ts'

const binary = '/usr/sbin/slapd'
const schemas = '/etc/ldap/schema'

/** Why tests with a directory are skipped; false where they can run. */
export const noSlapd = existsSync(binary) && existsSync('/usr/sbin/slapadd') ? false : `there is no ${binary}`

export interface Slapd {
  readonly port: number
  readonly tlsPort: number
  /** The certificate, in PEM. */
  readonly certificate: string
  stop(): Promise<void>
}

export const baseDn = 'ou=people,dc=example,dc=test'

const ldif = (users: Readonly<Record<string, string>>): string =>
  [
    'dn: dc=example,dc=test\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: example',
    `dn: ${baseDn}\nobjectClass: organizationalUnit\nou: people`,
    ...Object.entries(users).map(([uid, password]) => {
      const base64 = (text: string) => Buffer.from(text).toString('base64')
      const dn = `uid=${uid.replaceAll(/[,+"\\<>;=#]/g, (character) => `\\${character}`)},${baseDn}`
      return `dn:: ${base64(dn)}\nobjectClass: inetOrgPerson\nuid:: ${base64(uid)}\ncn:: ${base64(uid)}\nsn: user\nuserPassword:: ${base64(password)}`
    }),
  ].join('\n\n')

/** Starts a directory with these users and passwords. */
export async function startSlapd(users: Readonly<Record<string, string>>): Promise<Slapd> {
  const folder = mkdtempSync(join(tmpdir(), 'gibbon-slapd-'))
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text, { mode: 0o600 })
    return join(folder, name)
  }
  mkdirSync(join(folder, 'data'))
  const { cert, key } = makeCertificate(['localhost'], Date.now())
  const config = file(
    'slapd.conf',
    [
      ...['core', 'cosine', 'inetorgperson'].map((name) => `include ${schemas}/${name}.schema`),
      'modulepath /usr/lib/ldap\nmoduleload back_mdb',
      `pidfile ${join(folder, 'pid')}`,
      `TLSCertificateFile ${file('cert.pem', cert)}\nTLSCertificateKeyFile ${file('key.pem', key)}`,
      'database mdb\nsuffix "dc=example,dc=test"',
      `directory ${join(folder, 'data')}`,
      '',
    ].join('\n'),
  )
  execFileSync('/usr/sbin/slapadd', ['-f', config, '-l', file('users.ldif', ldif(users))], { stdio: 'pipe' })
  const [port, tlsPort] = [await freePort(), await freePort()]
  const urls = `ldap://127.0.0.1:${port} ldaps://127.0.0.1:${tlsPort}`
  const child = spawn(binary, ['-f', config, '-h', urls, '-d', '0'], { stdio: 'ignore' })
  await listening(child, port)
  return {
    port,
    tlsPort,
    certificate: cert,
    stop: async () => {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill()
      await ended
      rmSync(folder, { recursive: true })
    },
  }
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as net.AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function listening(child: ChildProcess, port: number): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    if (child.exitCode !== null) throw new Error(`slapd ended with ${child.exitCode}`)
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => {
        socket.destroy()
        resolve(true)
      })
      socket.once('error', () => resolve(false))
    })
    if (isOpen) return
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error('slapd does not listen')
}
