import { runExamples } from '../../../test/plugins/examples.ts'

runExamples(import.meta.dirname)
