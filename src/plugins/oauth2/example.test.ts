import { runExamples } from '../../../test/plugins/examples.ts'

runExamples(import.meta.dirname, { database: true, settings: { trusted_ips: '127.0.0.1' } })
