/**
 * The time as a worker's connections see it: looked up where something begins, and read from then on until the next beginning,
 * since looking costs more than most of what is done with it.
 */
let present = Date.now()

/**
 * Looks at the clock: the present time, in ms since 1970. Every connection does when it is told of something, and whoever goes on
 * with a request after a wait.
 */
export const look = (): number => (present = Date.now())

/** The time of the last look: that of the event at hand, for whoever does not wait in between. */
export const now = (): number => present
