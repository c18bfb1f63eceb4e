/** How a client schema is written in the languages of the SDKs: one entry a language. */
import type { ClientColumn, ClientSchema, ClientTable } from '@sluice/sync-rules';

interface Language {
  readonly name: string;
  /** Before and behind the tables. */
  readonly head: string;
  readonly foot: string;
  readonly comment: string;
  readonly table: (name: string, columns: string) => string;
  readonly column: (name: string, type: ClientColumn['type']) => string;
  /** A text literal of its JSON form. */
  readonly literal: (json: string) => string;
  /** Before each line of a column, and of a table. */
  readonly indent: { readonly table: string; readonly column: string };
}

const withoutDollar = (json: string): string => json.replaceAll('$', '\\$');

const languages = {
  ts: {
    name: 'TypeScript',
    head: "import { column, Schema, Table } from '@powersync/common';\n\nexport const AppSchema = new Schema({\n",
    foot: "});\n\nexport type Database = (typeof AppSchema)['types'];\n",
    comment: '//',
    table: (name, columns) => `${name}: new Table({\n${columns}  }),`,
    column: (name, type) => `${name}: column.${type},`,
    literal: (json) => (/^"[A-Za-z_]\w*"$/.test(json) && json !== '"__proto__"' ? json.slice(1, -1) : `[${json}]`),
    indent: { table: '  ', column: '    ' },
  },
  dart: {
    name: 'Dart',
    head: "import 'package:powersync/powersync.dart';\n\nconst schema = Schema([\n",
    foot: ']);\n',
    comment: '//',
    table: (name, columns) => `Table(${name}, [\n${columns}  ]),`,
    column: (name, type) => `Column.${type}(${name}),`,
    literal: withoutDollar,
    indent: { table: '  ', column: '    ' },
  },
  kotlin: {
    name: 'Kotlin',
    head: 'import com.powersync.db.schema.Column\nimport com.powersync.db.schema.Schema\nimport com.powersync.db.schema.Table\n\nval schema = Schema(\n',
    foot: ')\n',
    comment: '//',
    table: (name, columns) => `Table(name = ${name}, columns = listOf(\n${columns}    )),`,
    column: (name, type) => `Column.${type}(${name}),`,
    literal: withoutDollar,
    indent: { table: '    ', column: '        ' },
  },
  swift: {
    name: 'Swift',
    head: 'import PowerSync\n\nlet schema = Schema(tables: [\n',
    foot: '])\n',
    comment: '//',
    table: (name, columns) => `Table(name: ${name}, columns: [\n${columns}    ]),`,
    column: (name, type) => `.${type}(${name}),`,
    literal: (json) => json.replace(/\\u([0-9a-f]{4})/g, '\\u{$1}'),
    indent: { table: '    ', column: '        ' },
  },
} as const satisfies Record<string, Language>;

export type LanguageName = keyof typeof languages | 'json';

export const languageNames: readonly LanguageName[] = [
  ...(Object.keys(languages) as (keyof typeof languages)[]),
  'json',
];

export function clientSchemaText(schema: ClientSchema, name: LanguageName): string {
  if (name === 'json') return `${JSON.stringify(schema, null, 2)}\n`;
  const language: Language = languages[name];
  return `${language.head}${schema.tables.map((table) => tableText(table, language)).join('')}${language.foot}`;
}

function tableText({ name, columns, complete }: ClientTable, language: Language): string {
  const { indent, comment } = language;
  const missing = `${indent.table}${comment} Columns of SELECT * are missing here: give --schema or --config.\n`;
  const lines = columns.map(
    (column) => `${indent.column}${language.column(literal(column.name, language), column.type)}\n`,
  );
  return `${complete ? '' : missing}${indent.table}${language.table(literal(name, language), lines.join(''))}\n`;
}

/** JSON's short escapes (\b, \f) are not known everywhere; those by number are. */
function literal(text: string, language: Language): string {
  const numbered = JSON.stringify(text).replace(/\\([bf])/g, (_, letter: string) =>
    letter === 'b' ? '\\u0008' : '\\u000c',
  );
  return language.literal(numbered);
}
