/** Which addresses name one mailbox: by the ASCII form of their domain, and for plain ASCII exactly as before. */
import { domainToASCII, domainToUnicode } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { asciiDomain, emailIdentity, keysOf } from '../../src/domain/email-identity.ts';
import { parseEmail } from '../../src/domain/member.ts';
import { fold } from '../../src/domain/text.ts';

const identityOf = (email: string) => emailIdentity(email).identity ?? fold(email);
const BUECHER = 'ada@xn--bcher-kva.example';

test.for([
  ['as it is written', 'ada@bücher.example'],
  ['in capitals', 'Ada@BÜCHER.Example'],
  ['decomposed', 'ada@bu\u0308cher.example'],
  ['in ASCII', 'ada@xn--bcher-kva.example'],
  ['in ASCII, in capitals', 'ada@XN--BCHER-KVA.EXAMPLE'],
  ['in full width', 'ada@ｂüｃｈｅｒ.example'],
  ['with an ideographic full stop', 'ada@bücher\u3002example'],
  ['with a full stop in full width', 'ada@bücher\uff0eexample'],
  ['with a full stop in half width', 'ada@bücher\uff61example'],
  ['with a soft hyphen', 'ada@bü\u00adcher.example'],
  ['with a zero width space', 'ada@bücher\u200b.example'],
  ['with a word joiner', 'ada@bücher.ex\u2060ample'],
  ['with a byte order mark', 'ada@bücher.example\ufeff'],
  ['with a variation selector', 'ada@bücher.\ufe0fexample'],
] as const)('a domain %s has the identity of the others', ([, email]) => {
  expect(identityOf(email)).toBe(BUECHER);
  expect(parseEmail(email)).toHaveProperty('value');
});

test.for([
  ['ß is a letter of its own', 'ada@straße.example', 'ada@strasse.example'],
  ['an umlaut is not its vowel', 'ada@bücher.example', 'ada@bucher.example'],
  ['a joiner is kept where its script needs it', 'ada@نامه\u200cای.example', 'ada@نامهای.example'],
  ['local parts are not domains', 'xn--bcher-kva@x.example', 'bücher@x.example'],
] as const)('%s', ([, one, other]) => {
  expect(identityOf(one)).not.toBe(identityOf(other));
});

test.for([
  ['i@❤.ws', 'i@xn--qei.ws'],
  ['i@❤\ufe0f.ws', 'i@xn--qei.ws'],
  ['ada@STRAẞE.example', 'ada@xn--strae-oqa.example'],
  ['ΣΟΦΟΣ@βόλος.example', 'σοφοσ@xn--nxasmq6b.example'],
  ['x@xn--nxasmm1c.example', 'x@xn--nxasmq6b.example'],
  ['Ünal@Example.ORG', 'ünal@example.org'],
  ['ünal@[192.0.2.1]', 'ünal@[192.0.2.1]'],
  ['ada@a_b.bücher.example', 'ada@a_b.xn--bcher-kva.example'],
] as const)('%s is %s', ([email, identity]) => {
  expect(parseEmail(email)).toHaveProperty('value');
  expect(identityOf(email)).toBe(identity);
});

describe('what the function would rewrite is refused first:', () => {
  test.for([
    ['a percent sign', 'ada@b%41.example'],
    ['a percent sign in full width', 'ada@b％41.example'],
    ['what ends a host in a URL', 'ada@bücher.example/x'],
    ['the same in one character', 'ada@\u2100.example'],
    ['a port', 'ada@bücher.example:80'],
    ['a line break', 'ada@bü\ncher.example'],
    ['an IPv4 address', 'ada@127.0.0.1'],
    ['a short IPv4 address', 'ada@127.1'],
    ['a hexadecimal IPv4 address', 'ada@0x7f.1'],
    ['a last label that reads as hexadecimal', 'ada@example.0x7F'],
    ['a last label that is a number', 'ada@bücher.1'],
    ['a last label that is a number in full width', 'ada@example.１２'],
    ['a number behind a full stop of another script', 'ada@example\u3002١'],
  ] as const)('%s', ([, email]) => {
    expect(parseEmail(email)).toHaveProperty('reason');
  });

  test('a number is named as the fault, with what to write instead', () => {
    expect(parseEmail('ada@127.1')).toEqual({ reason: expect.stringContaining('ada@[192.0.2.1]') });
    expect(parseEmail('ada@[127.0.0.1]')).toEqual({ value: 'ada@[127.0.0.1]' });
  });
});

test.for([
  ['Punycode that cannot be decoded', 'ada@xn--a.example'],
  ['Punycode of nothing', 'ada@xn--.example'],
  ['Punycode of ASCII', 'ada@xn--abc-.example'],
  ['Punycode that cannot be decoded beside one that can', 'ada@xn--bcher-kva.xn--a'],
  ['Punycode of letters that stand apart from their marks', 'ada@xn--bucher-xyd.example'],
  ['right to left and left to right in one label', 'ada@אa.example'],
  ['a joiner where no script needs it', 'ada@b\u200dücher.example'],
  ['an emoji that is put together by joiners', 'ada@👨\u200d👩\u200d👧.example'],
  ['a label of nothing that can be seen', 'ada@\u00ad.example'],
] as const)('refuses %s', ([, email]) => {
  expect(parseEmail(email)).toHaveProperty('reason');
});

test('what is shown is what was given, but for characters that nobody sees and full stops of other scripts', () => {
  expect(parseEmail('Ada@BÜ\u00adcher\u3002Example')).toEqual({ value: 'Ada@BÜcher.Example' });
  expect(parseEmail('Ada@XN--Bcher-KVA.example')).toEqual({ value: 'Ada@XN--Bcher-KVA.example' });
});

const LETTER = fc.constantFrom(
  ...'abcxyzäöüßéñçøåžłπσςжя中文例えपनمثאב❤☕',
  '\u0308',
  '\u0323',
  '\u00ad',
  '\u200b',
  '\ufe0f',
  'Ｘ',
  'ﬁ',
  'ſ',
  'K',
  'İ',
);
const LABEL = fc.string({ unit: LETTER, minLength: 1, maxLength: 8 });
const DOMAIN = fc
  .tuple(LABEL, fc.constantFrom('.', '\u3002', '\uff0e', '\uff61'), LABEL, fc.constantFrom('.', '\u3002'))
  .map(([one, dot, two, last]) => `${one}${dot}${two}${last}example`)
  .filter((domain) => asciiDomain(domain) !== null);

test('any two spellings that the function maps to one have one identity', () => {
  fc.assert(
    fc.property(DOMAIN, (domain) => {
      // Composed first: Node itself leaves some letters uncomposed whose marks come in another order.
      const toAscii = (each: string) => domainToASCII(each.replaceAll(/\u00ad|\u200b|\ufe0f/g, '').normalize('NFKC'));
      const ascii = toAscii(domain);
      const spellings = [
        domain,
        ascii,
        ascii.toUpperCase(),
        domainToUnicode(ascii),
        domainToUnicode(ascii).normalize('NFD'),
      ];
      const identities = spellings.filter((each) => toAscii(each) === ascii).map((each) => identityOf(`ada@${each}`));
      expect(new Set(identities).size).toBe(1);
    }),
  );
});

test('addresses with one folded text have one identity, so that no row needs two', () => {
  fc.assert(
    fc.property(DOMAIN, (domain) => {
      const folded = fold(domain);
      fc.pre(asciiDomain(folded) !== null);
      expect(identityOf(`ada@${folded}`)).toBe(identityOf(`ada@${domain}`));
    }),
  );
});

test('an identity is found by its own lookups, and is its own identity', () => {
  fc.assert(
    fc.property(DOMAIN, (domain) => {
      const { lookups } = emailIdentity(`ada@${domain}`);
      const identity = identityOf(`ada@${domain}`);
      for (const key of keysOf(fold(identity), identity)) expect(lookups).toContain(key);
      expect(identityOf(identity)).toBe(identity);
    }),
  );
});

test('a plain ASCII address is what it was: its folded text, found by that alone', () => {
  const ascii = fc
    .tuple(
      fc.stringMatching(/^[A-Za-z0-9.+_'-]{1,20}$/),
      fc.stringMatching(/^[A-Za-z][A-Za-z0-9_]{0,9}(-[A-Za-z0-9]{1,5})?(\.[A-Za-z][A-Za-z0-9]{1,9}){0,3}$/),
    )
    .map(([local, domain]) => `${local}@${domain}`)
    .filter((email) => !email.toLowerCase().includes('xn--'));
  fc.assert(
    fc.property(ascii, (email) => {
      expect(parseEmail(email)).toEqual({ value: email });
      const folded = email.toLowerCase();
      expect(emailIdentity(email)).toEqual({ folded, identity: null, lookups: [folded] });
    }),
  );
});
