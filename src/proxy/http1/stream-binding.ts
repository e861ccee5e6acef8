/**
 * What `node:net` itself reads and writes by, which Node does not document; undefined where it is not as expected, so that the
 * documented ways remain.
 */

/** The writes give 0 or an error. What the system does not take at once waits, and `request.oncomplete` is called when it has gone. */
export interface StreamHandle {
  writeLatin1String(request: WriteRequest, text: string): number
  writeBuffer(request: WriteRequest, bytes: Buffer): number
  /** Called for each read; gives the buffer to read into next, if that is another one. */
  onread: (this: StreamHandle, bytes: ArrayBuffer | undefined) => Uint8Array | undefined
}

export interface WriteRequest {
  handle: StreamHandle
  /** Kept from being collected until then. */
  buffer?: Buffer
  oncomplete: (status: number) => void
}

interface StreamBinding {
  readonly WriteWrap: new () => WriteRequest
  /** What came of the latest call, by place. */
  readonly streamBaseState: Readonly<Record<number, number>>
  readonly kLastWriteWasAsync: number
  readonly kReadBytesOrError: number
}

export const streamBinding = ((): StreamBinding | undefined => {
  try {
    const { binding } = process as unknown as { readonly binding: (name: string) => unknown }
    const found = binding('stream_wrap') as Partial<StreamBinding>
    const { WriteWrap, streamBaseState, kLastWriteWasAsync = -1, kReadBytesOrError = -1 } = found
    const places = [kLastWriteWasAsync, kReadBytesOrError]
    const isKnown =
      typeof WriteWrap === 'function' && places.every((place) => typeof streamBaseState?.[place] === 'number')
    return isKnown ? (found as StreamBinding) : undefined
  } catch {
    return undefined
  }
})()

/** The handle of a socket without TLS; undefined where there is none, or none that is known. */
export function streamHandle(socket: object): StreamHandle | undefined {
  return streamBinding && ((socket as { readonly _handle?: StreamHandle | null })._handle ?? undefined)
}
