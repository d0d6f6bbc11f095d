/** A file as the world makes them, and the members that are in it. */

const LONG_EMAIL = `${'a'.repeat(180)}@${'b'.repeat(60)}.${'c'.repeat(4)}.org`;

/** Name, address, and a custom field. */
const PEOPLE: readonly (readonly [name: string, email: string, bio: string])[] = [
  ['محمد عبد الله', 'محمد@مثال.السعودية', 'يكتب من اليمين'],
  ['שרה כהן', 'sara@x.org', 'עברית, with English'],
  ['田中 さくら', 'さくら@例え.テスト', '句読点、「引用」'],
  ['김민준', 'minjun+plus.tag@x.co.kr', '한글'],
  ['ณัฐพล สุขสวัสดิ์', 'nat@x.th', 'ไม่มีเว้นวรรค'],
  ['नेहा शर्मा', 'नेहा@डोमेन.भारत', 'संयुक्ताक्षर क्षत्रिय'],
  ['👩🏽‍🚀 Zoë 🏴󠁧󠁢󠁥󠁮󠁧󠁿', 'zoe@i❤.ws', 'emoji with 👨‍👩‍👧‍👦'],
  ['Jose\u0301 combining', 'jose@x.org', 'e\u0301 is not é here'],
  ['Zalgo ẗ̸̰e̷̝̓x̶̜͋t', 'zalgo@x.org', 'many marks'],
  ['O\'Brien, "Bob"', "o'brien@x.org", 'commas, "quotes", ""doubled""'],
  ['\u202eRight to left override', 'rlo@x.org', '\u200fmark'],
  ["Robert'); DROP TABLE members;--", '"quoted; local"@x.org', ';;; semicolons; everywhere;'],
  ['=cmd|"/c calc"!A1', 'formula@x.org', '=1+1'],
  ['A long address', LONG_EMAIL, 'x'.repeat(4_000)],
  ['Lines', 'lines@x.org', 'first\r\nsecond\nthird\rfourth\r\n\r\nlast'],
  ['Blanks', 'blanks@x.org', '  kept as they are\t'],
  ['null', 'null@x.org', 'null'],
  ['true', 'true@x.org', '007'],
];

function quoted(cell: string): string {
  return `"${cell.replaceAll('"', '""')}"`;
}

/** With a byte order mark, CR LF, blank lines, an unnamed empty column and columns that nobody knows. */
export const HARD_CSV = `\ufeff Email ,NAME,"Bio, in short",Tags,\r\n\r\n${PEOPLE.map(
  ([name, email, bio]) => `${quoted(email)},${quoted(name)},${quoted(bio)},"a;b\\;c",\r\n`,
).join('\r\n')},,,,\r\n`;

export const HARD_JSONL = `\ufeff${PEOPLE.map(
  ([name, email, bio]) => `${JSON.stringify({ email, name, 'Bio, in short': bio, tags: ['a', 'b;c'] })}\r\n`,
).join('\r\n')}`;

export const HARD_MEMBERS = PEOPLE.map(([name, email, bio]) => ({
  name,
  email,
  tags: ['a', 'b;c'],
  customFields: { 'Bio, in short': bio },
}));
