/**
 * The mailbox of a member in SQL, as the indexes of the migration `member_email_identity_indexes` have it. What the identity
 * is and who works it out: domain/email-identity.ts.
 */
import type { Lookup } from './candidates.ts';

const MAY_DIFFER = "(octet_length(email_folded) <> char_length(email_folded) OR email_folded LIKE '%xn--%')";

/**
 * What a member is looked up by: the identity while it is that of the present address; else the folded address, behind a
 * blank where its identity is still to be worked out. Unique in a network.
 */
export const EMAIL_KEY =
  '(CASE WHEN email_identity_of = email_folded THEN email_identity' +
  ` WHEN ${MAY_DIFFER} THEN ' ' || email_folded ELSE email_folded END)`;

export const EMAIL_LOOKUP: Lookup = { column: EMAIL_KEY, type: 'text' };

/** Rows whose identity is still to be worked out. */
export const EMAIL_PENDING = `(email_identity_of IS DISTINCT FROM email_folded AND ${MAY_DIFFER})`;
