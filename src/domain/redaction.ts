/** What no line that is kept or shown may hold, whoever put it there: tokens, digests and e-mail addresses. */
import { TOKEN_PATTERN } from './token.ts';

/**
 * E-mail addresses as domain/member.ts takes them, in a line of JSON. A dot-less domain counts where no path stands
 * before the @: a stack trace names node_modules/@prisma/client. Each run of characters is tried from its start alone,
 * so that a long one takes no longer than it must.
 */
const INVISIBLE = String.raw`\s\p{Cc}[\p{Cf}--[\u200c\u200d]]`;
const LOCAL = String.raw`[^${INVISIBLE}\(\)<>\[\]\\,;:@"]`;
const LOCAL_WITHOUT_SLASH = String.raw`[^${INVISIBLE}\(\)<>\[\]\\,;:@"\/]`;
/** In JSON its quotes are escaped, and so is what they escape. */
const QUOTED_LOCAL = String.raw`\\"(?:[^"\\]|\\[^u]){1,256}?\\"`;
const LABEL = String.raw`(?:[A-Za-z0-9_\-]|[^${INVISIBLE}\u0000-\u007f])+`;
const DOTTED = String.raw`${LABEL}(?:\.${LABEL})+`;
const LITERAL = String.raw`\[[0-9A-Za-z.:]+\]`;
const EMAIL_PATTERN = new RegExp(
  [
    `(?<!${LOCAL})${LOCAL}+@(?:${DOTTED}|${LITERAL})`,
    `(?<!${LOCAL_WITHOUT_SLASH})${LOCAL_WITHOUT_SLASH}+@${LABEL}`,
    String.raw`${QUOTED_LOCAL}@(?:${LABEL}(?:\.${LABEL})*|${LITERAL})`,
  ].join('|'),
  'gv',
);
/** A SHA-256 as PostgreSQL writes it. */
const DIGEST_PATTERN = /(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])/gi;

/** A line without tokens, digests and addresses. */
export function redactLine(line: string): string {
  const clean = line.replace(TOKEN_PATTERN, 'gk_[redacted]').replace(DIGEST_PATTERN, '[redacted]');
  // Most lines, and every line of the access log, can do without the dearest of the three.
  return clean.includes('@') ? clean.replace(EMAIL_PATTERN, '[redacted]') : clean;
}

const USER_AGENT_MAX_CHARACTERS = 256;

/** What a caller's program calls itself, as it is kept. The header is the caller's to choose: it may hold anything. */
export function shownUserAgent(header: string | null | undefined): string | null {
  return header == null ? null : redactLine(header).slice(0, USER_AGENT_MAX_CHARACTERS);
}
