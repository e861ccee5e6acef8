/**
 * A radix tree from path prefixes to rules: one walk along a request's path passes every rule whose prefix it has, however
 * many rules there are. Trees are never changed once built: adding or removing a rule copies the few nodes on its way and
 * shares the rest, so that a router of ten thousand routes changes one of them in microseconds.
 */
import { beats, type Rule } from './rule.ts'

/** A node, reached by its `label` from its parent; `rules` hold where the path leads, `regexRules` have to be tried on it. Both best first. */
export interface PathNode<T> {
  label: string
  children: Map<number, PathNode<T>> | undefined
  rules: Rule<T>[]
  regexRules: Rule<T>[]
  /** Who may change this node in place: the build that made it, and nobody afterwards. */
  owner: object | undefined
}

const needsTrying = (rule: Rule<unknown>): boolean => rule.regex !== undefined || rule.condition !== undefined

/** A tree without rules. */
export const emptyTree = <T>(owner?: object): PathNode<T> => newNode('', owner)

/** A tree with one rule more; nodes made under the same `owner` are changed in place. */
export function withRule<T>(node: PathNode<T>, prefix: string, rule: Rule<T>, owner: object): PathNode<T> {
  const own = editable(node, owner)
  if (prefix === '') {
    place(needsTrying(rule) ? own.regexRules : own.rules, rule)
    return own
  }
  const code = prefix.charCodeAt(0)
  const children = (own.children ??= new Map())
  const child = children.get(code) ?? newNode<T>(prefix, owner)
  const shared = sharedLength(child.label, prefix)
  const branch = shared === child.label.length ? child : split(child, shared, owner)
  children.set(code, withRule(branch, prefix.slice(shared), rule, owner))
  return own
}

/** A tree with one rule less; undefined when it was the last one. */
export function withoutRule<T>(
  node: PathNode<T>,
  prefix: string,
  rule: Rule<T>,
  owner: object,
): PathNode<T> | undefined {
  const own = editable(node, owner)
  if (prefix === '') {
    const list = needsTrying(rule) ? own.regexRules : own.rules
    const at = list.indexOf(rule)
    if (at >= 0) list.splice(at, 1)
    return compact(own)
  }
  const code = prefix.charCodeAt(0)
  const child = own.children?.get(code)
  if (!child || !prefix.startsWith(child.label)) return own
  const left = withoutRule(child, prefix.slice(child.label.length), rule, owner)
  if (left) own.children?.set(code, left)
  else own.children?.delete(code)
  return compact(own)
}

function newNode<T>(label: string, owner: object | undefined): PathNode<T> {
  return { label, children: undefined, rules: [], regexRules: [], owner }
}

function editable<T>(node: PathNode<T>, owner: object): PathNode<T> {
  if (node.owner === owner) return node
  return {
    label: node.label,
    children: node.children && new Map(node.children),
    rules: node.rules.slice(),
    regexRules: node.regexRules.slice(),
    owner,
  }
}

function split<T>(node: PathNode<T>, at: number, owner: object): PathNode<T> {
  const upper = newNode<T>(node.label.slice(0, at), owner)
  const lower = editable(node, owner)
  lower.label = node.label.slice(at)
  upper.children = new Map([[lower.label.charCodeAt(0), lower]])
  return upper
}

/** Drops a node that holds nothing, and joins one that only leads on with the node it leads to. The root stays a root. */
function compact<T>(node: PathNode<T>): PathNode<T> | undefined {
  if (node.rules.length > 0 || node.regexRules.length > 0) return node
  const count = node.children?.size ?? 0
  if (count === 0) return undefined
  if (count > 1 || node.label === '') return node
  const [only] = node.children?.values() ?? []
  return only && { ...only, label: node.label + only.label, owner: node.owner === only.owner ? only.owner : undefined }
}

/** Rules stand best first, so that a search may stop at the first that holds. */
function place<T>(rules: Rule<T>[], rule: Rule<T>): void {
  let low = 0
  let high = rules.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const other = rules[middle]
    if (other && beats(other, rule)) low = middle + 1
    else high = middle
  }
  rules.splice(low, 0, rule)
}

function sharedLength(left: string, right: string): number {
  const length = Math.min(left.length, right.length)
  let at = 0
  while (at < length && left.charCodeAt(at) === right.charCodeAt(at)) at++
  return at
}
