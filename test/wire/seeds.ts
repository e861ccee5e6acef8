/**
 * How long tests by chance run, and by what chance. In the gate with a seed that is always the same, so that a failure is the
 * change's. Whoever gives `GIBBON_FUZZ_SECONDS` lets each test run for so long (hours, at will), half of it with a new seed, so that
 * new things are found; `GIBBON_FUZZ_SEED` repeats a run.
 */
import { test, type TestContext } from 'node:test'

const given = process.env['GIBBON_FUZZ_SEED']
const seconds = process.env['GIBBON_FUZZ_SECONDS']
const seeds = given !== undefined ? [Number(given)] : seconds === undefined ? [2026] : [2026, Date.now() % 2 ** 31]

/** For each seed of a test. */
export const secondsEach = Number(seconds ?? 20) / seeds.length

/** A test for each seed, which its name shows. */
export function withEachSeed(name: string, run: (context: TestContext, seed: number) => void | Promise<void>): void {
  for (const seed of seeds) test(`${name} (GIBBON_FUZZ_SEED=${seed})`, (context) => run(context, seed))
}
