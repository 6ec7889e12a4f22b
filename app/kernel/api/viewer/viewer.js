// Shows openapi.json. Everything is put into the page as text, never as HTML.
'use strict'

const el = (tag, attrs = {}, ...children) => {
  const e = document.createElement(tag)
  for (const [k, v] of Object.entries(attrs)) e.setAttribute(k, v)
  e.append(...children.filter(c => c != null))
  return e
}

let doc

const deref = s => {
  if (s && s.$ref) return doc.components.schemas[s.$ref.split('/').pop()] || {}
  return s || {}
}

const typeName = s => {
  if (!s) return ''
  if (s.$ref) return s.$ref.split('/').pop()
  const types = [].concat(s.type || 'any')
  return types.map(t => (t === 'array' ? `list of ${typeName(s.items)}` : t)).join(' or ') + (s.format && !/^(int|uint|double|float)/.test(s.format) ? ` (${s.format})` : '')
}

const limits = s => [
  s.enum && `one of ${s.enum.join(', ')}`,
  s.default !== undefined && `default ${JSON.stringify(s.default)}`,
  s.minimum !== undefined && `at least ${s.minimum}`, s.maximum !== undefined && `at most ${s.maximum}`,
  s.minLength && `length at least ${s.minLength}`, s.maxLength && `length at most ${s.maxLength}`,
  s.pattern && `pattern ${s.pattern}`,
].filter(Boolean).join('; ')

// sample makes a value of the schema, to show the shape; short is only what is required.
const sample = (schema, short = false, seen = []) => {
  if (schema && schema.$ref) {
    if (seen.includes(schema.$ref)) return {}
    seen = [...seen, schema.$ref]
  }
  const s = deref(schema)
  if (s.examples) return s.examples[0]
  if (s.default !== undefined) return s.default
  if (s.enum) return s.enum[0]
  switch ([].concat(s.type)[0]) {
    case 'object': {
      const o = {}
      for (const [k, v] of Object.entries(s.properties || {})) {
        if (k !== '$schema' && (!short || (s.required || []).includes(k))) o[k] = sample(v, short, seen)
      }
      if (typeof s.additionalProperties === 'object') o.name = sample(s.additionalProperties, short, seen)
      return o
    }
    case 'array': return [sample(s.items, short, seen)]
    case 'string': return s.format === 'date-time' ? '2026-01-02T03:04:05Z' : 'text'
    case 'integer': return s.minimum || 1
    case 'number': return s.minimum || 1.5
    case 'boolean': return true
  }
  return null
}

const fields = (schema, prefix = '', depth = 0, required = null) => {
  const s = deref(schema)
  const inner = [].concat(s.type)[0] === 'array' ? deref(s.items) : s
  const need = required || inner.required || []
  const rows = []
  for (const [name, f] of Object.entries(inner.properties || {})) {
    if (name === '$schema') continue
    rows.push(el('tr', {},
      el('td', {}, el('code', {}, prefix + name + (need.includes(name) ? ' *' : ''))),
      el('td', {}, typeName(f)),
      el('td', {}, [f.description || deref(f).description, limits(f)].filter(Boolean).join('; '))))
    const below = [].concat(deref(f).type)[0] === 'array' ? deref(deref(f).items) : deref(f)
    if (below.properties && depth < 3) rows.push(...fields(below, prefix + name + '.', depth + 1))
  }
  return rows
}

const body = (title, content) => {
  const [type, media] = Object.entries(content || {})[0] || []
  if (!type) return null
  const box = el('div', {}, el('h3', {}, `${title}: ${type}`))
  if (media.schema && media.schema.format !== 'binary') {
    box.append(el('table', {}, ...fields(media.schema)))
    box.append(el('pre', {}, JSON.stringify(sample(media.schema), null, 2)))
  }
  return box
}

const curl = (method, path, op) => {
  const lines = [`curl -X ${method.toUpperCase()} ${location.origin}${path}`]
  if (op.security) lines.push('  -H "Authorization: Bearer $KEY"')
  const json = op.requestBody && op.requestBody.content['application/json']
  if (json) lines.push('  -H "Content-Type: application/json"', `  -d '${JSON.stringify(sample(json.schema, true))}'`)
  return lines.join(' \\\n')
}

const route = (path, method, op) => {
  const inside = el('div')
  const box = el('details', { id: op.operationId },
    el('summary', {},
      el('span', { class: `method ${method}` }, method), el('span', { class: 'path' }, path),
      el('span', { class: 'text' }, op.summary || ''), el('span', { class: 'guard' }, op['x-guard'] || '')),
    inside)
  box.addEventListener('toggle', () => {
    if (!box.open || inside.childElementCount) return
    if (op.description) inside.append(el('p', {}, op.description))
    if (op.parameters) {
      inside.append(el('h3', {}, 'Parameters'), el('table', {}, ...op.parameters.map(p => el('tr', {},
        el('td', {}, el('code', {}, p.name + (p.required ? ' *' : ''))), el('td', {}, `${p.in}, ${typeName(p.schema)}`),
        el('td', {}, [p.description, limits(p.schema || {})].filter(Boolean).join('; '))))))
    }
    inside.append(...[op.requestBody && body('Request', op.requestBody.content),
      ...Object.entries(op.responses || {}).filter(([s]) => s !== 'default')
        .map(([s, r]) => body(`Answer ${s}`, r.content) || el('h3', {}, `Answer ${s} ${r.description || ''}`)),
    ].filter(Boolean))
    inside.append(el('h3', {}, 'Sample'), el('pre', {}, curl(method, path, op)))
  })
  return box
}

const show = () => {
  const words = document.getElementById('find').value.toLowerCase().split(/\s+/).filter(Boolean)
  const groups = new Map()
  for (const [path, methods] of Object.entries(doc.paths)) {
    for (const [method, op] of Object.entries(methods)) {
      const text = `${method} ${path} ${op.summary} ${op['x-guard']}`.toLowerCase()
      if (!words.every(w => text.includes(w))) continue
      const tag = (op.tags || ['other'])[0]
      if (!groups.has(tag)) groups.set(tag, [])
      groups.get(tag).push(route(path, method, op))
    }
  }
  const tags = [...groups.keys()].sort()
  document.getElementById('tags').replaceChildren(...tags.map(t => el('a', { href: `#${t}` }, `${t} (${groups.get(t).length})`)))
  document.getElementById('routes').replaceChildren(...tags.flatMap(t => [el('h2', { id: t }, t), ...groups.get(t)]))
}

fetch('openapi.json').then(r => r.json()).then(d => {
  doc = d
  // The description marks names with backticks, as in Markdown.
  document.getElementById('about').replaceChildren(...d.info.description.split('`').map((part, i) => (i % 2 ? el('code', {}, part) : part)))
  document.getElementById('find').addEventListener('input', show)
  show()
  const target = document.getElementById(location.hash.slice(1))
  if (target) { target.open = true; target.scrollIntoView() }
}).catch(e => { document.getElementById('routes').textContent = `The document could not be loaded: ${e}` })
