// A gateway that is asked once and then fails by an error that nobody caught.
import { loadSettings } from '../../src/config/settings.ts'
import { startGateway } from '../../src/main.ts'

const loaded = loadSettings({ env: process.env })
if (!loaded.ok) throw new Error(loaded.errors.join('\n'))
const gateway = await startGateway(loaded.settings)
await fetch(`http://127.0.0.1:${gateway.proxyPorts[0]}/asked?key=secret`)
setImmediate(() => {
  throw new Error('the test breaks it')
})
