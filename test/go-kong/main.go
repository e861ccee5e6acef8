// Creates, reads, changes, lists and deletes every core entity and jwt credentials through Kong's Go client.
// Usage: go run . http://127.0.0.1:8001 — ends with status 1 at the first answer that is not as it should be.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log"
	"math/big"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/kong/go-kong/kong"
)

var ctx = context.Background()

// life is what the client can do with one kind of entity; `by` names an entity of it as its paths do, beside its id.
type life[T any] struct {
	kind    string
	create  func(*T) (*T, error)
	get     func(*string) (*T, error)
	update  func(*T) (*T, error)
	list    func() ([]*T, error)
	remove  func(*string) error
	id      func(*T) *string
	by      func(*T) *string
	tags    func(*T) *[]*string
	created *T
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: go run . ADMIN_URL")
	}
	client, err := kong.NewClient(&os.Args[1], nil)
	must("a client", err)
	root, err := client.Root(ctx)
	must("GET /", err)
	check(root["version"] == "3.10.0", "the version is %v", root["version"])
	cert, key := certificate(false)
	authority, _ := certificate(true)

	service := lives(life[kong.Service]{
		kind: "service", create: call(client.Services.Create), get: call(client.Services.Get),
		update: call(client.Services.Update), list: all(client.Services.ListAll), remove: gone(client.Services.Delete),
		id: func(s *kong.Service) *string { return s.ID }, by: func(s *kong.Service) *string { return s.Name },
		tags:    func(s *kong.Service) *[]*string { return &s.Tags },
		created: &kong.Service{Name: kong.String("svc"), Host: kong.String("upstream.test"), Path: kong.String("/base")},
	})
	check(*service.Protocol == "http" && *service.Retries == 5, "a service has its defaults")
	route := lives(life[kong.Route]{
		kind: "route", create: call(client.Routes.Create), get: call(client.Routes.Get),
		update: call(client.Routes.Update), list: all(client.Routes.ListAll), remove: gone(client.Routes.Delete),
		id: func(r *kong.Route) *string { return r.ID }, by: func(r *kong.Route) *string { return r.Name },
		tags: func(r *kong.Route) *[]*string { return &r.Tags },
		created: &kong.Route{
			Name: kong.String("rt"), Paths: kong.StringSlice("/x"), Headers: map[string][]string{"x-a": {"1"}},
			Service: &kong.Service{ID: service.ID},
		},
	})
	consumer := lives(life[kong.Consumer]{
		kind: "consumer", create: call(client.Consumers.Create), get: call(client.Consumers.Get),
		update: call(client.Consumers.Update), list: all(client.Consumers.ListAll), remove: gone(client.Consumers.Delete),
		id: func(c *kong.Consumer) *string { return c.ID }, by: func(c *kong.Consumer) *string { return c.Username },
		tags:    func(c *kong.Consumer) *[]*string { return &c.Tags },
		created: &kong.Consumer{Username: kong.String("alice"), CustomID: kong.String("a-1")},
	})
	found, err := client.Consumers.GetByCustomID(ctx, kong.String("a-1"))
	must("a consumer by its custom_id", err)
	check(*found.ID == *consumer.ID, "the consumer by its custom_id is another one")
	lives(life[kong.JWTAuth]{
		kind:   "jwt credential",
		create: func(c *kong.JWTAuth) (*kong.JWTAuth, error) { return client.JWTAuths.Create(ctx, consumer.ID, c) },
		get:    func(key *string) (*kong.JWTAuth, error) { return client.JWTAuths.Get(ctx, consumer.ID, key) },
		update: func(c *kong.JWTAuth) (*kong.JWTAuth, error) { return client.JWTAuths.Update(ctx, consumer.ID, c) },
		list:   all(client.JWTAuths.ListAll),
		remove: func(key *string) error { return client.JWTAuths.Delete(ctx, consumer.ID, key) },
		id:     func(c *kong.JWTAuth) *string { return c.ID }, by: func(c *kong.JWTAuth) *string { return c.Key },
		tags:    func(c *kong.JWTAuth) *[]*string { return &c.Tags },
		created: &kong.JWTAuth{Key: kong.String("issuer"), Secret: kong.String("s"), Algorithm: kong.String("HS256")},
	})
	lives(life[kong.Plugin]{
		kind: "plugin", create: call(client.Plugins.Create), get: call(client.Plugins.Get),
		update: call(client.Plugins.Update), list: all(client.Plugins.ListAll), remove: gone(client.Plugins.Delete),
		id: func(p *kong.Plugin) *string { return p.ID }, by: func(p *kong.Plugin) *string { return p.InstanceName },
		tags: func(p *kong.Plugin) *[]*string { return &p.Tags },
		created: &kong.Plugin{
			Name: kong.String("jwt"), InstanceName: kong.String("mine"), Route: &kong.Route{ID: route.ID},
			Config: kong.Configuration{"claims_to_verify": []string{"exp"}},
		},
	})
	lives(life[kong.FilterChain]{
		kind: "filter chain", create: call(client.FilterChains.Create), get: call(client.FilterChains.Get),
		update: call(client.FilterChains.Update), list: all(client.FilterChains.ListAll),
		remove: gone(client.FilterChains.Delete),
		id:     func(f *kong.FilterChain) *string { return f.ID }, by: func(f *kong.FilterChain) *string { return f.Name },
		tags: func(f *kong.FilterChain) *[]*string { return &f.Tags },
		created: &kong.FilterChain{
			Name: kong.String("guard"), Route: &kong.Route{ID: route.ID}, Filters: []*kong.Filter{{Name: kong.String("waf")}},
		},
	})
	schema, err := client.Plugins.GetFullSchema(ctx, kong.String("jwt"))
	must("a plugin's schema", err)
	filled := &kong.Plugin{Name: kong.String("jwt"), Config: kong.Configuration{}}
	must("a plugin's defaults", kong.FillPluginsDefaults(filled, schema))
	check(filled.Config["key_claim_name"] == "iss", "the schema's defaults are %v", filled.Config)
	valid, text, err := client.Plugins.Validate(ctx, &kong.Plugin{Name: kong.String("nope")})
	must("a validation", err)
	check(!valid && strings.Contains(text, "plugin 'nope' not enabled"), "an unknown plugin: %v %s", valid, text)

	upstream := lives(life[kong.Upstream]{
		kind: "upstream", create: call(client.Upstreams.Create), get: call(client.Upstreams.Get),
		update: call(client.Upstreams.Update), list: all(client.Upstreams.ListAll), remove: gone(client.Upstreams.Delete),
		id: func(u *kong.Upstream) *string { return u.ID }, by: func(u *kong.Upstream) *string { return u.Name },
		tags:    func(u *kong.Upstream) *[]*string { return &u.Tags },
		created: &kong.Upstream{Name: kong.String("ups"), Slots: kong.Int(100)},
	})
	targets(client, upstream)

	keyed := lives(life[kong.Certificate]{
		kind: "certificate", create: call(client.Certificates.Create), get: call(client.Certificates.Get),
		update: call(client.Certificates.Update), list: all(client.Certificates.ListAll),
		remove: gone(client.Certificates.Delete),
		id:     func(c *kong.Certificate) *string { return c.ID },
		by:     func(c *kong.Certificate) *string { return c.SNIs[0] },
		tags:   func(c *kong.Certificate) *[]*string { return &c.Tags },
		created: &kong.Certificate{
			Cert: kong.String(cert), Key: kong.String(key), SNIs: kong.StringSlice("one.test", "two.test"),
		},
	})
	check(len(keyed.SNIs) == 2, "a certificate has the SNIs %v", keyed.SNIs)
	lives(life[kong.SNI]{
		kind: "sni", create: call(client.SNIs.Create), get: call(client.SNIs.Get), update: call(client.SNIs.Update),
		list: all(client.SNIs.ListAll), remove: gone(client.SNIs.Delete),
		id: func(s *kong.SNI) *string { return s.ID }, by: func(s *kong.SNI) *string { return s.Name },
		tags:    func(s *kong.SNI) *[]*string { return &s.Tags },
		created: &kong.SNI{Name: kong.String("*.three.test"), Certificate: &kong.Certificate{ID: keyed.ID}},
	})
	lives(life[kong.CACertificate]{
		kind: "ca_certificate", create: call(client.CACertificates.Create), get: call(client.CACertificates.Get),
		update: call(client.CACertificates.Update), list: all(client.CACertificates.ListAll),
		remove: gone(client.CACertificates.Delete),
		id:     func(c *kong.CACertificate) *string { return c.ID }, by: func(c *kong.CACertificate) *string { return c.ID },
		tags:    func(c *kong.CACertificate) *[]*string { return &c.Tags },
		created: &kong.CACertificate{Cert: kong.String(authority)},
	})
	lives(life[kong.Vault]{
		kind: "vault", create: call(client.Vaults.Create), get: call(client.Vaults.Get), update: call(client.Vaults.Update),
		list: all(client.Vaults.ListAll), remove: gone(client.Vaults.Delete),
		id: func(v *kong.Vault) *string { return v.ID }, by: func(v *kong.Vault) *string { return v.Prefix },
		tags: func(v *kong.Vault) *[]*string { return &v.Tags },
		created: &kong.Vault{
			Name: kong.String("env"), Prefix: kong.String("my-env"), Config: kong.Configuration{"prefix": "SECRET_"},
		},
	})
	set := lives(life[kong.KeySet]{
		kind: "key-set", create: call(client.KeySets.Create), get: call(client.KeySets.Get), update: call(client.KeySets.Update),
		list: all(client.KeySets.ListAll), remove: gone(client.KeySets.Delete),
		id: func(s *kong.KeySet) *string { return s.ID }, by: func(s *kong.KeySet) *string { return s.Name },
		tags:    func(s *kong.KeySet) *[]*string { return &s.Tags },
		created: &kong.KeySet{Name: kong.String("set")},
	})
	lives(life[kong.Key]{
		kind: "key", create: call(client.Keys.Create), get: call(client.Keys.Get), update: call(client.Keys.Update),
		list: all(client.Keys.ListAll), remove: gone(client.Keys.Delete),
		id: func(k *kong.Key) *string { return k.ID }, by: func(k *kong.Key) *string { return k.Name },
		tags: func(k *kong.Key) *[]*string { return &k.Tags },
		created: &kong.Key{
			Name: kong.String("signing"), KID: kong.String("k1"), Set: &kong.KeySet{ID: set.ID},
			PEM: &kong.PEM{PrivateKey: kong.String(key)},
		},
	})
	tagged, err := client.Tags.Exists(ctx)
	must("whether there are tags", err)
	check(tagged, "the client finds no tags")
	pages(client)
	fmt.Println("every entity lived")
}

// lives plays one entity's whole life, and then makes another one of the same content, which it returns.
func lives[T any](l life[T]) *T {
	first, err := l.create(l.created)
	must("creating a "+l.kind, err)
	read, err := l.get(l.id(first))
	must("reading a "+l.kind, err)
	check(*l.id(read) == *l.id(first), "%s: another id was read", l.kind)
	read, err = l.get(l.by(first))
	must("reading a "+l.kind+" by its name", err)
	check(*l.id(read) == *l.id(first), "%s: another one has the name", l.kind)
	*l.tags(read) = kong.StringSlice("changed")
	changed, err := l.update(read)
	must("changing a "+l.kind, err)
	check(len(*l.tags(changed)) == 1 && *(*l.tags(changed))[0] == "changed", "%s: the change is not there", l.kind)
	listed, err := l.list()
	must("listing", err)
	isFirst := func(one *T) bool { return *l.id(one) == *l.id(first) }
	check(slices.ContainsFunc(listed, isFirst), "%s: it is not listed", l.kind)
	must("deleting a "+l.kind, l.remove(l.id(first)))
	_, err = l.get(l.id(first))
	check(kong.IsNotFoundErr(err), "%s: it is still there: %v", l.kind, err)
	again, err := l.create(l.created)
	must("creating another "+l.kind, err)
	*l.tags(again) = kong.StringSlice("kept")
	_, err = l.update(again)
	must("tagging another "+l.kind, err)
	return again
}

// targets have no reading of their own in the client, and their health can be told.
func targets(client *kong.Client, upstream *kong.Upstream) {
	made, err := client.Targets.Create(ctx, upstream.ID, &kong.Target{Target: kong.String("127.0.0.1:9000")})
	must("creating a target", err)
	check(*made.Weight == 100, "a target weighs %d", *made.Weight)
	made.Weight = kong.Int(5)
	changed, err := client.Targets.Update(ctx, upstream.ID, made.ID, made)
	must("changing a target", err)
	check(*changed.Weight == 5, "a changed target weighs %d", *changed.Weight)
	listed, err := client.Targets.ListAll(ctx, upstream.ID)
	must("listing targets", err)
	check(len(listed) == 1, "%d targets are listed", len(listed))
	health, err := client.UpstreamNodeHealth.ListAll(ctx, upstream.ID)
	must("the targets' health", err)
	check(len(health) == 1 && *health[0].Health == "HEALTHCHECKS_OFF", "the health is %v", health)
	must("deleting a target", client.Targets.Delete(ctx, upstream.ID, made.ID))
	listed, err = client.Targets.ListAll(ctx, upstream.ID)
	must("listing targets", err)
	check(len(listed) == 0, "%d targets are left", len(listed))
}

// pages reads more entities than fit one page, by tags and without.
func pages(client *kong.Client) {
	for i := range 25 {
		_, err := client.Consumers.Create(ctx, &kong.Consumer{
			Username: kong.String(fmt.Sprintf("c%d", i)), Tags: kong.StringSlice("many", fmt.Sprintf("n%d", i%2)),
		})
		must("creating a consumer", err)
	}
	count, pages := 0, 0
	for opt := (&kong.ListOpt{Size: 10, Tags: kong.StringSlice("many")}); opt != nil; pages++ {
		page, next, err := client.Consumers.List(ctx, opt)
		must("a page of consumers", err)
		count, opt = count+len(page), next
	}
	check(count == 25 && pages == 3, "%d consumers on %d pages", count, pages)
	both, _, err := client.Consumers.List(ctx, &kong.ListOpt{
		Size: 100, Tags: kong.StringSlice("many", "n1"), MatchAllTags: true,
	})
	must("consumers by two tags", err)
	check(len(both) == 12, "%d consumers have both tags", len(both))
}

func call[In, Out any](method func(context.Context, In) (Out, error)) func(In) (Out, error) {
	return func(in In) (Out, error) { return method(ctx, in) }
}

func all[Out any](method func(context.Context) (Out, error)) func() (Out, error) {
	return func() (Out, error) { return method(ctx) }
}

func gone(method func(context.Context, *string) error) func(*string) error {
	return func(id *string) error { return method(ctx, id) }
}

func must(what string, err error) {
	if err != nil {
		log.Fatalf("%s: %v", what, err)
	}
}

func check(holds bool, text string, values ...any) {
	if !holds {
		log.Fatalf(text, values...)
	}
}

func certificate(isAuthority bool) (cert, key string) {
	pair, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must("a key", err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "go.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: isAuthority, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &pair.PublicKey, pair)
	must("a certificate", err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(pair)
	must("a key's text", err)
	return text("CERTIFICATE", der), text("PRIVATE KEY", pkcs8)
}

func text(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}
