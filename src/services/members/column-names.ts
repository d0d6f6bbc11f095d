/**
 * What other systems' exports call the fields of a member, in whatever case and style a header is written: `created_at`,
 * `Created At` and `createdAt` are one name.
 *
 * A name is here only where it can mean nothing else in Ghost, Discourse, CiviCRM, Mailchimp, Django, Rails or a
 * spreadsheet. `City`, `Company`, `Phone` and the like stay custom fields, and so does `Avatar`, which may be a file's
 * name: a wrong guess would have every row rejected. `--map` is for all that is missing here.
 */
import { MEMBER_COLUMNS, type MemberColumn } from '../../domain/member.ts';

/**
 * The parts of a name, which many systems keep apart. They make the name of a member whose record has none, and are kept
 * as custom fields under these names, because a name cannot be taken apart again.
 */
export const NAME_PARTS = ['firstName', 'lastName'] as const;
export type NamePart = (typeof NAME_PARTS)[number];
export type KnownField = MemberColumn | NamePart;

const KNOWN_FIELDS: readonly KnownField[] = [...MEMBER_COLUMNS, ...NAME_PARTS];

/** As `canonical` makes them. */
const SYNONYMS: Readonly<Partial<Record<KnownField, readonly string[]>>> = {
  // "Email Address" in Mailchimp, "mail" in LDAP and Drupal.
  email: ['emailaddress', 'mail', 'mailaddress', 'primaryemail'],
  // "Display Name" in CiviCRM and WordPress.
  name: ['fullname', 'displayname'],
  // FNAME and LNAME are Mailchimp's merge tags, "Given Name" and "Family Name" Google's.
  firstName: ['givenname', 'forename', 'fname'],
  lastName: ['familyname', 'surname', 'lname'],
  // "External Identifier" in CiviCRM.
  externalId: ['externalidentifier'],
  // `avatar_image` in Ghost, "Image Url" in CiviCRM.
  avatarUrl: ['avatarimage', 'avatarlink', 'imageurl', 'photourl', 'pictureurl', 'profilepictureurl'],
  permalink: ['profileurl', 'profilelink'],
  timeZone: ['timezonename'],
  // `date_joined` in Django, "Created Date" in CiviCRM, `registered_at` in many.
  createdAt: [
    'createddate',
    'createdon',
    'creationdate',
    'datecreated',
    'joinedat',
    'joinedon',
    'joindate',
    'joineddate',
    'datejoined',
    'membersince',
    'registeredat',
    'registrationdate',
  ],
  // `last_seen_at` in Discourse and Ghost.
  lastActiveAt: ['lastseenat', 'lastactivityat'],
};

/** How much a column's name is a field's. The least wins where several columns could be the field. */
export const EXACT = 0;
export const OTHER_STYLE = 1;
export const SYNONYM = 2;

export interface Match {
  readonly field: KnownField;
  readonly rank: typeof EXACT | typeof OTHER_STYLE | typeof SYNONYM;
}

const MATCHES: ReadonlyMap<string, Match> = new Map(
  KNOWN_FIELDS.flatMap((field): [string, Match][] => [
    [canonical(field), { field, rank: OTHER_STYLE }],
    ...(SYNONYMS[field] ?? []).map((name): [string, Match] => [name, { field, rank: SYNONYM }]),
  ]),
);

/** A name without what differs between styles: case, and the blanks, `_`, `-` and `.` between words. */
export function canonical(name: string): string {
  return name.replaceAll(/[\s_.-]+/g, '').toLowerCase();
}

/** The field that a column's name stands for; null where it is no field's. */
export function matchOf(name: string): Match | null {
  const match = MATCHES.get(canonical(name)) ?? null;
  return match?.field === name ? { field: match.field, rank: EXACT } : match;
}

export function isNamePart(name: string): name is NamePart {
  return NAME_PARTS.some((part) => part === name);
}
