import { runExamples } from '../../../test/plugins/examples.ts'
import { noSlapd, startSlapd } from '../../../test/plugins/slapd.ts'

runExamples(import.meta.dirname, {
  skip: noSlapd,
  surroundings: async () => {
    const slapd = await startSlapd({ alice: 'open sesame' })
    return { rewrite: (yaml) => yaml.replace('3389', String(slapd.port)), stop: () => slapd.stop() }
  },
})
