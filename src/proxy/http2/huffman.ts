/** The Huffman code of header strings. Source: RFC 7541 5.2 and appendix B. */

// prettier-ignore
/** Bits of each byte's code; the last is that of the end of a string, which never stands in one. */
const lengths = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
  28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
  5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
  6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
  24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
  21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
  26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
]

const endOfString = 256
const invalid = -1

const nodeBits = 0x1ff
const mayEndBit = 0x200
const byteShift = 10

interface Node {
  readonly next: [Node | number | undefined, Node | number | undefined]
  readonly number: number
  /** Whether a string may end here: within a run of ones that is shorter than a byte. */
  readonly mayEnd: boolean
}

/**
 * For each node of the code's tree and each four bits: the node that they lead to (9 bits), whether a string may end there (1 bit),
 * and above them 1 + the byte that is complete then, 0 for none. The shortest code has five bits, so it is one at most.
 */
const steps = makeSteps(makeTree())
/** The code is canonical: codes of one length follow each other in the order of their bytes, shorter ones first. */
function makeTree(): readonly Node[] {
  const nodes: Node[] = [{ next: [undefined, undefined], number: 0, mayEnd: true }]
  const order = lengths.map((length, byte) => ({ length, byte })).sort((a, b) => a.length - b.length || a.byte - b.byte)
  let code = 0
  let length = 0
  for (const one of order) {
    code *= 2 ** (one.length - length)
    length = one.length
    plant(nodes, code++, one.length, one.byte)
  }
  return nodes
}

function plant(nodes: Node[], code: number, length: number, byte: number): void {
  let node = nodes[0] as Node
  let ones = true
  for (let bit = length - 1; bit > 0; bit--) {
    const side = ((code >>> bit) & 1) as 0 | 1
    ones &&= side === 1
    let next = node.next[side]
    if (typeof next !== 'object') {
      next = { next: [undefined, undefined], number: nodes.length, mayEnd: ones && length - bit < 8 }
      nodes.push(next)
      node.next[side] = next
    }
    node = next
  }
  node.next[(code & 1) as 0 | 1] = byte
}

function makeSteps(nodes: readonly Node[]): Int32Array {
  const table = new Int32Array(nodes.length * 16)
  for (const from of nodes) {
    for (let bits = 0; bits < 16; bits++) table[from.number * 16 + bits] = stepOf(nodes[0] as Node, from, bits)
  }
  return table
}

function stepOf(root: Node, from: Node, bits: number): number {
  let node = from
  let emitted = 0
  for (let bit = 3; bit >= 0; bit--) {
    const next = node.next[((bits >>> bit) & 1) as 0 | 1]
    if (next === undefined || next === endOfString) return invalid
    if (typeof next === 'number') {
      emitted = 1 + next
      node = root
    } else node = next
  }
  return node.number | (node.mayEnd ? mayEndBit : 0) | (emitted << byteShift)
}

let scratch = Buffer.allocUnsafeSlow(16 * 1024)

/** The text that stands coded at `start..end`, one character a byte; undefined where it is not valid. */
export function decodeHuffman(bytes: Uint8Array, start: number, end: number): string | undefined {
  const most = Math.ceil(((end - start) * 8) / 5)
  if (scratch.length < most) scratch = Buffer.allocUnsafeSlow(most * 2)
  let length = 0
  let step = mayEndBit
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number
    step = steps[(step & nodeBits) * 16 + (byte >>> 4)] as number
    if (step === invalid) return undefined
    if (step >>> byteShift) scratch[length++] = (step >>> byteShift) - 1
    step = steps[(step & nodeBits) * 16 + (byte & 15)] as number
    if (step === invalid) return undefined
    if (step >>> byteShift) scratch[length++] = (step >>> byteShift) - 1
  }
  return step & mayEndBit ? scratch.toString('latin1', 0, length) : undefined
}
