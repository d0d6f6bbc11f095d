/** How long each text and list of values can be that the answer of a mutation shows: bytes of JSON, quotes included. */
import {
  ALLOWED_ADDRESSES_MAX,
  KEY_NAME_MAX_CHARACTERS,
  KEY_NOTE_MAX_CHARACTERS,
  REASON_MAX_CHARACTERS,
} from '../domain/api-key.ts';
import {
  AVATAR_URL_MAX_CHARACTERS,
  CUSTOM_FIELD_NAME_MAX_CHARACTERS,
  CUSTOM_FIELDS_MAX_BYTES,
  EMAIL_MAX_CHARACTERS,
  EXTERNAL_ID_MAX_CHARACTERS,
  LOCATION_MAX_CHARACTERS,
  NAME_MAX_CHARACTERS,
  PERMALINK_MAX_CHARACTERS,
  TAG_MAX_CHARACTERS,
  TAGS_MAX,
  TIME_ZONE_MAX_CHARACTERS,
} from '../domain/member.ts';
import type { UserError } from '../domain/user-error.ts';

/** User errors that one payload shows. */
const USER_ERRORS_MAX = 100;
/** User errors that are shown of one of many items. */
const USER_ERRORS_AN_ITEM_MAX = 10;
const USER_ERROR_MESSAGE_MAX_CHARACTERS = 200;
const USER_ERROR_MESSAGE_MAX_BYTES = 800;

/** As many as a payload shows; what is mended brings up the rest. */
export function shownErrors(errors: readonly UserError[]): UserError[] {
  return errors.slice(0, USER_ERRORS_MAX);
}

export function shownErrorsOfItem(errors: readonly UserError[]): UserError[] {
  return errors.slice(0, USER_ERRORS_AN_ITEM_MAX);
}

export function shownMessage(message: string): string {
  if (message.length <= USER_ERROR_MESSAGE_MAX_CHARACTERS) return message;
  if (Buffer.byteLength(JSON.stringify(message)) <= USER_ERROR_MESSAGE_MAX_BYTES) return message;
  return `${message.slice(0, USER_ERROR_MESSAGE_MAX_CHARACTERS)}…`.toWellFormed();
}

/** PostgreSQL writes a blank behind each comma and colon. Text that is longer for other reasons is written anew. */
export const CUSTOM_FIELDS_TEXT_MAX_BYTES = CUSTOM_FIELDS_MAX_BYTES * 1.5;

/** Without control characters: a character takes at most four bytes, a quote or a backslash two. */
function line(maxCharacters: number): number {
  return 4 * maxCharacters + '""'.length;
}

/** With control characters, which take six bytes: `\u0001`. */
function text(maxCharacters: number): number {
  return 6 * maxCharacters + '""'.length;
}

function list(maxItems: number, itemBytes: number): number {
  return '[]'.length + maxItems * (itemBytes + ','.length);
}

const TOKEN_BYTES = 80;
const ADDRESS_BYTES = 60;

export const TEXT_BYTES_MAX: Readonly<Record<string, number>> = {
  'Admin.email': line(EMAIL_MAX_CHARACTERS),
  'Admin.name': line(NAME_MAX_CHARACTERS),
  'ApiKey.allowedAddresses': list(ALLOWED_ADDRESSES_MAX, ADDRESS_BYTES),
  'ApiKey.lastUsedAddress': ADDRESS_BYTES,
  'ApiKey.name': line(KEY_NAME_MAX_CHARACTERS),
  'ApiKey.note': text(KEY_NOTE_MAX_CHARACTERS),
  'ApiKey.redactedToken': TOKEN_BYTES,
  'ApiKey.revokedReason': text(REASON_MAX_CHARACTERS),
  'CreateApiKeyPayload.token': TOKEN_BYTES,
  'Member.avatarUrl': line(AVATAR_URL_MAX_CHARACTERS),
  'Member.customFields': CUSTOM_FIELDS_TEXT_MAX_BYTES,
  'Member.email': line(EMAIL_MAX_CHARACTERS),
  'Member.externalId': line(EXTERNAL_ID_MAX_CHARACTERS),
  'Member.location': text(LOCATION_MAX_CHARACTERS),
  'Member.name': line(NAME_MAX_CHARACTERS),
  'Member.permalink': line(PERMALINK_MAX_CHARACTERS),
  'Member.tags': list(TAGS_MAX, line(TAG_MAX_CHARACTERS)),
  'Member.timeZone': line(TIME_ZONE_MAX_CHARACTERS),
  'Network.name': line(NAME_MAX_CHARACTERS),
  'Network.slug': ADDRESS_BYTES * 2,
  'PreviousToken.redactedToken': TOKEN_BYTES,
  'RotateApiKeyPayload.token': TOKEN_BYTES,
  // A path such as `input`, `members`, `999`, `customFields` and a custom field's name.
  'UserError.field': list(4, 20) + line(CUSTOM_FIELD_NAME_MAX_CHARACTERS),
  'UserError.message': USER_ERROR_MESSAGE_MAX_BYTES + '…'.length,
};

/** Lists of objects that are longer, at the most, than what they are taken for where their cost is reckoned. */
export const ITEMS_MAX: Readonly<Record<string, number>> = {
  'UpsertMemberResult.userErrors': USER_ERRORS_AN_ITEM_MAX,
  // That there is no such key.
  'RevokeApiKeysResult.userErrors': 1,
};
export const USER_ERRORS_FIELD = { name: 'userErrors', maxItems: USER_ERRORS_MAX } as const;

/** Fields of a type of which an object shows only one: a member that was rejected is not there. */
export const EITHER: Readonly<Record<string, readonly string[]>> = { UpsertMemberResult: ['member', 'userErrors'] };
