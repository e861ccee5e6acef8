/** The windows of time in which requests are counted: those of the calendar, in UTC. */

import type { Period } from './schema.ts'

/** A window, in seconds since 1970; `end` is the first one behind it. */
export interface Window {
  readonly start: number
  readonly end: number
}

const lengths = { second: 1, minute: 60, hour: 3600, day: 86_400 } as const

/** The window of a period that a time is in. */
export function windowAt(period: Period, seconds: number): Window {
  if (period === 'month' || period === 'year') return calendarWindow(period, new Date(seconds * 1000))
  const length = lengths[period]
  const start = seconds - (seconds % length)
  return { start, end: start + length }
}

function calendarWindow(period: 'month' | 'year', date: Date): Window {
  const year = date.getUTCFullYear()
  const month = period === 'year' ? 0 : date.getUTCMonth()
  const next = period === 'year' ? Date.UTC(year + 1) : Date.UTC(year, month + 1)
  return { start: Date.UTC(year, month) / 1000, end: next / 1000 }
}
