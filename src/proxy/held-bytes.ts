/**
 * What clients make a worker hold while it waits for them: heads and bodies that are not complete, requests sent ahead, answers that
 * an HTTP/2 client has no window for. Each connection has bounds of its own; this is the one for all of them together. Only what
 * is kept beyond the event that brought it is counted, so that a request which comes in one piece pays nothing.
 */

/** Who holds something, and can be given up for others. */
export interface Holder {
  /** What is counted of it; written by `HeldBytes` alone, at first 0. */
  heldBytes: number
  /** Room is needed: ends what is waited for. It has been taken out of the count already. */
  giveUp(): void
}

/** Who holds more is given up before those who hold less. */
const fairShare = 4096

export class HeldBytes {
  /** What all hold together. */
  bytes = 0
  /** How often somebody was given up. */
  givenUp = 0
  readonly #limit: number
  /** Those who can be given up, who began first is first. */
  readonly #modest = new Set<Holder>()
  readonly #greedy = new Set<Holder>()

  /** `limit` in bytes. */
  constructor(limit: number) {
    this.#limit = limit
  }

  /**
   * Notes how much somebody holds now. Where that makes it too much for all, those who hold much for longest are given up, before
   * those who hold little. False where that was not enough: then this one has been taken out of the count, and has to give up itself.
   */
  hold(holder: Holder, bytes: number): boolean {
    const before = holder.heldBytes
    if (bytes === before) return true
    holder.heldBytes = bytes
    this.bytes += bytes - before
    if (bytes === 0) this.spare(holder)
    else if (bytes > fairShare) {
      this.#modest.delete(holder)
      this.#greedy.add(holder)
    } else if (!this.#greedy.has(holder)) this.#modest.add(holder)
    return bytes < before || this.bytes <= this.#limit || this.#makeRoom(holder)
  }

  /** What somebody holds stays counted, but it is not the client who is waited for any more. */
  spare(holder: Holder): void {
    this.#modest.delete(holder)
    this.#greedy.delete(holder)
  }

  #makeRoom(asking: Holder): boolean {
    this.#giveUpOthers(this.#greedy, asking)
    if (this.bytes > this.#limit && asking.heldBytes <= fairShare) this.#giveUpOthers(this.#modest, asking)
    if (this.bytes <= this.#limit) return true
    this.#take(asking)
    return false
  }

  #giveUpOthers(holders: ReadonlySet<Holder>, asking: Holder): void {
    for (const holder of holders) {
      if (this.bytes <= this.#limit) return
      if (holder === asking) continue
      this.#take(holder)
      holder.giveUp()
    }
  }

  #take(holder: Holder): void {
    this.givenUp++
    this.bytes -= holder.heldBytes
    holder.heldBytes = 0
    this.spare(holder)
  }
}
