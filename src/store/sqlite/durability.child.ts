/** Writes until it is killed, and tells its parent of each write that was acknowledged. */
import { sampleKinds } from '../sample.ts'
import { openStore } from './open.ts'

const [file = '', name = ''] = process.argv.slice(2)
const store = await openStore({ file, kinds: sampleKinds })

async function writer(writerName: string): Promise<void> {
  for (let at = 0; ; at++) {
    const id = `${name}${writerName}${at}`
    const written = await store.write([
      { do: 'insert', kind: 'services', entity: { id, name: id, filler: 'x'.repeat(at % 3000) } },
      { do: 'insert', kind: 'routes', entity: { id, name: null, service: { id } } },
    ])
    if (!written.ok) throw new Error(JSON.stringify(written.error))
    process.send?.(id)
  }
}
await Promise.all(Array.from('abcde', writer))
