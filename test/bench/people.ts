/** The people that the networks are filled with: of several scripts and places, each told by a number. */

/** What comes one after the other, by a person's number. */
export const CYCLES = {
  role: ['owner', 'admin', 'moderator', 'member', 'member', 'member', 'member'],
  status: ['active', 'active', 'active', 'active', 'invited', 'suspended'],
  name: [
    'Ada Łukasiewicz',
    'Benoît Okafor',
    'Chika Suzuki',
    'Dmytro Ковальчук',
    'Elif Yılmaz',
    'Fritz Müller',
    '山田 太郎',
  ],
  location: [
    'Lagos, Nigeria',
    'Łódź, Poland',
    'Kyoto, Japan',
    null,
    'São Paulo, Brazil',
    'Kyiv, Ukraine',
    'Izmir, Türkiye',
  ],
} as const;

/** Of the first; each is so much later than the one before. */
export const START_MS = Date.UTC(2022, 0, 1);
export const STEP_MS = 77_777;

/** As a line of the JSON Lines that `gatehouse member import` reads. `house`: a part of the address. */
export function importLine(house: string, index: number): string {
  const member = {
    externalId: `crm-${index}`,
    name: `${pick(CYCLES.name, index)} ${index}`,
    email: `member${index}@${house}.example`,
    role: pick(CYCLES.role, index),
    status: pick(CYCLES.status, index),
    avatarUrl: `https://avatars.example/${index}.png`,
    location: pick(CYCLES.location, index),
    tags: index % 3 === 0 ? ['mentor', 'newsletter'] : [],
    createdAt: new Date(START_MS + index * STEP_MS).toISOString(),
    company: `Company ${index % 100}`,
  };
  return `${JSON.stringify(member)}\n`;
}

function pick<Value>(values: readonly Value[], index: number): Value | undefined {
  return values[index % values.length];
}
