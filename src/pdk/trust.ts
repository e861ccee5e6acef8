/** The certificates, in PEM, that servers outside are verified with (`lua_ssl_trusted_certificate`); undefined for Node's own. */
let certificates: string | undefined

export const trustedCertificates = (): string | undefined => certificates

/** Told once, when a worker starts. */
export function configureTrust(pem: string | undefined): void {
  certificates = pem
}
