/**
 * What goes into cookies and the database: JSON, encrypted so that nobody reads it, and sealed so that nobody makes or changes it.
 * AES-256-GCM with a key that follows from the secret (RFC 5869) and what the text is for, and a random nonce.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

const NONCE_BYTES = 12
const TAG_BYTES = 16

export interface Seal {
  seal(value: object): string
  /** What was sealed; undefined where the text was not sealed with this key. */
  open(text: string): unknown
}

/** The seal of a secret for one purpose: what was sealed for one is worth nothing for another. */
export function sealOf(secret: string, purpose: string): Seal {
  const key = Buffer.from(hkdfSync('sha256', secret, '', `gibbon session ${purpose}`, 32))
  return {
    seal(value) {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', key, nonce)
      const sealed = Buffer.concat([cipher.update(JSON.stringify(value), 'utf8'), cipher.final()])
      return Buffer.concat([nonce, sealed, cipher.getAuthTag()]).toString('base64url')
    },
    open(text) {
      const bytes = Buffer.from(text, 'base64url')
      // One sealed text has one spelling.
      if (bytes.length < NONCE_BYTES + TAG_BYTES || bytes.toString('base64url') !== text) return undefined
      try {
        const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES))
        decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
        const opened = Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()])
        return JSON.parse(opened.toString('utf8'))
      } catch {
        return undefined
      }
    },
  }
}
