/** `gibbon jwt sign`: makes a token, with the algorithms that the jwt plugin verifies. */
import { createPrivateKey, createSecretKey, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { algorithms, type Algorithm } from '../plugins/jwt/algorithms.ts'
import { decodeSecret } from '../plugins/jwt/keys.ts'
import { signToken } from '../plugins/jwt/sign.ts'
import { isObject, type JsonObject } from '../plugins/jwt/token.ts'
import { type Command, type CommandContext, exitStatus } from './command.ts'
import { momentForms, momentOf } from './jwt-time.ts'

export const command: Command = {
  name: 'jwt sign',
  summary: 'Sign a token for a jwt credential',
  usage: `jwt sign [options]

--claim NAME=TEXT sets a claim to a text, --claim NAME:=JSON to any value; both may be given many times.
Times are ${momentForms}
(a relative one in the past is written --exp=-30s).
HS256, HS384 and HS512 sign with a secret, the others with the private key in --key-file.`,
  options: {
    alg: { type: 'string', help: `algorithm, of ${[...algorithms.keys()].join(' ')} (default HS256)`, value: 'NAME' },
    secret: {
      type: 'string',
      help: 'the secret; others on this machine may see it, --secret-file hides it',
      value: 'TEXT',
    },
    'secret-file': {
      type: 'string',
      help: 'file with the secret; a line end behind it is not part of it',
      value: 'FILE',
    },
    'secret-base64': { type: 'boolean', help: 'the secret is base64 of the key, as with secret_is_base64' },
    'key-file': { type: 'string', help: 'PEM file with the private key', value: 'FILE' },
    claim: { type: 'string', multiple: true, help: 'a claim, such as iss=KEY', value: 'NAME=TEXT' },
    payload: {
      type: 'string',
      help: 'all claims as JSON; goes into the token as it is where nothing is added',
      value: 'JSON',
    },
    header: { type: 'string', help: 'members to add to the header, or to replace in it', value: 'JSON' },
    exp: { type: 'string', help: 'when the token ends', value: 'TIME' },
    nbf: { type: 'string', help: 'when it begins', value: 'TIME' },
    iat: { type: 'boolean', help: 'tell when it was made' },
  },
  run: (context) => sign(context),
}

/** A mistake in how the command was called; its message is for the user and holds no secret. */
class Mistake extends Error {}

/** Signs as the options say and prints the token; the clock comes in as seconds since 1970. */
export async function sign(context: CommandContext, now = () => Math.floor(Date.now() / 1000)): Promise<number> {
  try {
    if (context.args.length > 0)
      throw new Mistake(`nothing is known of "${context.args[0]}": claims are given with --claim`)
    const header = headerOf(context)
    const payload = payloadOf(context, now())
    const key = await keyFor(context, header.alg)
    const token = signToken({ header, payload }, header.alg, key)
    context.stdout.write(
      context.json ? `${JSON.stringify({ token, header, payload: JSON.parse(payload) })}\n` : `${token}\n`,
    )
    return exitStatus.done
  } catch (error) {
    if (!(error instanceof Mistake)) throw error
    context.stderr.write(`gibbon jwt sign: ${error.message}\nTry: gibbon jwt sign --help\n`)
    return exitStatus.usage
  }
}

function headerOf({ values }: CommandContext): JsonObject & { readonly alg: string } {
  const given = values['header'] === undefined ? {} : jsonObject('--header', text(values['header']))
  const alg = values['alg'] ?? given['alg'] ?? 'HS256'
  if (typeof alg !== 'string' || !algorithms.has(alg)) {
    throw new Mistake(`no algorithm ${JSON.stringify(alg)}; there are ${[...algorithms.keys()].join(', ')}`)
  }
  if (given['alg'] !== undefined && given['alg'] !== alg) {
    throw new Mistake(`--alg says ${alg}, --header says ${JSON.stringify(given['alg'])}`)
  }
  return { alg, typ: 'JWT', ...given }
}

/** The payload's JSON: as it was given, or with what other options add to it. */
function payloadOf({ values }: CommandContext, now: number): string {
  const given = values['payload'] === undefined ? '{}' : text(values['payload'])
  const added = [...claimsOf(values['claim']), ...timesOf(values, now)]
  const base = jsonObject('--payload', given)
  return added.length === 0 ? given : JSON.stringify(Object.fromEntries([...Object.entries(base), ...added]))
}

function claimsOf(values: CommandContext['values'][string]): [string, unknown][] {
  const pairs = Array.isArray(values) ? values : []
  return pairs.map((pair) => {
    const [, name, isJson, value] = /^([^=]+?)(:?)=(.*)$/s.exec(text(pair)) ?? []
    if (name === undefined || value === undefined)
      throw new Mistake(`--claim ${text(pair)} is not NAME=TEXT or NAME:=JSON`)
    return [name, isJson === ':' ? json(`--claim ${name}`, value) : value]
  })
}

function timesOf(values: CommandContext['values'], now: number): [string, number][] {
  const times: [string, number][] = []
  for (const name of ['nbf', 'exp']) {
    if (values[name] === undefined) continue
    const moment = momentOf(text(values[name]), now)
    if (moment === undefined) throw new Mistake(`--${name} ${text(values[name])} is not ${momentForms}`)
    times.push([name, moment])
  }
  if (values['iat'] === true) times.push(['iat', now])
  return times
}

async function keyFor({ values }: CommandContext, alg: string): Promise<KeyObject> {
  const algorithm = algorithms.get(alg)!
  const key = algorithm.material === 'secret' ? await secretKey(values, alg) : await privateKey(values, alg)
  if (!isUsable(algorithm, key)) {
    const { namedCurve = '' } = key.asymmetricKeyDetails ?? {}
    throw new Mistake(
      `${alg} cannot sign with the key in --key-file, which is ${key.asymmetricKeyType} ${namedCurve}`.trimEnd(),
    )
  }
  return key
}

/** Tried out, since a key may be of the right kind and still too short. */
function isUsable(algorithm: Algorithm, key: KeyObject): boolean {
  try {
    return algorithm.suits(key) && algorithm.sign('', key).length > 0
  } catch {
    return false
  }
}

async function secretKey(values: CommandContext['values'], alg: string): Promise<KeyObject> {
  const file = values['secret-file']
  const given =
    values['secret'] ??
    (file === undefined ? undefined : (await read('--secret-file', text(file))).replace(/\r?\n$/, ''))
  if (given === undefined) throw new Mistake(`${alg} signs with a secret: give --secret-file or --secret`)
  const bytes = values['secret-base64'] === true ? decodeSecret(text(given)) : Buffer.from(text(given), 'utf8')
  if (bytes === undefined) throw new Mistake('the secret is not base64')
  if (bytes.length === 0) throw new Mistake('the secret is empty')
  return createSecretKey(bytes)
}

async function privateKey(values: CommandContext['values'], alg: string): Promise<KeyObject> {
  if (values['key-file'] === undefined) throw new Mistake(`${alg} signs with a private key: give --key-file`)
  const pem = await read('--key-file', text(values['key-file']))
  try {
    return createPrivateKey(pem)
  } catch {
    throw new Mistake(
      `${text(values['key-file'])} holds no private key in PEM, or one that is locked with a passphrase`,
    )
  }
}

async function read(option: string, file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new Mistake(`${option}: ${(error as Error).message}`)
  }
}

function jsonObject(option: string, value: string): JsonObject {
  const parsed = json(option, value)
  if (!isObject(parsed)) throw new Mistake(`${option} is not a JSON object`)
  return parsed
}

function json(option: string, value: string): unknown {
  try {
    return JSON.parse(value)
  } catch (error) {
    throw new Mistake(`${option} is not JSON: ${(error as Error).message}`)
  }
}

/** An option's value; `parseArgs` has seen to it that it is a text. */
function text(value: CommandContext['values'][string]): string {
  return String(value)
}
