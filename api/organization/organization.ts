import { noteAudit } from '../../db/audit-notes.ts'
import {
  changeOrganization,
  lockOrganization,
  type OrganizationChange,
  type OrganizationRow,
  readOrganization,
} from '../../db/organization-settings.ts'
import type { TenantDatabase } from '../../db/tenant.ts'
import { asCaller, type Caller } from '../caller.ts'
import { Problem } from '../problem.ts'
import { type IfMatch, refuseOtherVersion } from '../versions/if-match.ts'
import type { OrganizationChangeBody, OrganizationView } from './schema.ts'

export interface OrganizationDeps {
  db: TenantDatabase
  /** The installation's own host. */
  organizer: string
}

/** The caller's organisation with its settings. */
export async function showOrganization(
  { db, organizer }: OrganizationDeps,
  caller: Caller,
): Promise<OrganizationView> {
  const row = await asCaller(db, caller, tx => readOrganization(tx, caller.organizationId))
  return organizationView(row, organizer)
}

/** Changes its settings; what is absent stays. @throws {Problem} `invalid_request`, `version_changed` */
export async function updateOrganization(
  { db, organizer }: OrganizationDeps,
  caller: Caller,
  body: OrganizationChangeBody,
  ifMatch?: IfMatch,
): Promise<OrganizationView> {
  const { language, notifications, retentionDays } = body
  if (Object.values(body).every(value => value === undefined))
    throw new Problem('invalid_request', 'Name at least one field to change.')
  const { organizationId, actor } = caller
  return asCaller(db, caller, async tx => {
    const before = await lockOrganization(tx, organizationId)
    await refuseOtherVersion(ifMatch, () => organizationView(before, organizer))
    const change: OrganizationChange = {
      ...(language !== undefined && { language }),
      ...(notifications !== undefined && {
        notifications: { ...before.notifications, ...present(notifications) },
      }),
      ...(retentionDays !== undefined && { retentionDays }),
    }
    const after = await changeOrganization(tx, before, change)
    await noteAudit(tx, {
      organizationId,
      actor,
      action: 'organization.changed',
      subject: `organization:${organizationId}`,
      before: organizationFacts(before),
      after: organizationFacts(after),
    })
    return organizationView(after, organizer)
  })
}

function present(notifications: NonNullable<OrganizationChangeBody['notifications']>) {
  return Object.fromEntries(Object.entries(notifications).filter(([, value]) => value !== undefined))
}

// Addresses are people's data, which the audit log does not hold: how many there are tells that they changed.
function organizationFacts(row: OrganizationRow): Record<string, unknown> {
  const { language, notifications, retentionDays } = organizationView(row, '')
  return { language, retentionDays, ...notifications, to: notifications.to.length }
}

function organizationView(row: OrganizationRow, organizer: string): OrganizationView {
  const {
    recordingAvailable = true,
    recordingFailed = true,
    coverageAlert = true,
    to = [],
  } = row.notifications
  return {
    id: row.id,
    name: row.name,
    language: row.language,
    notifications: { recordingAvailable, recordingFailed, coverageAlert, to },
    retentionDays: row.retentionDays,
    googleDomain: row.googleDomain,
    hosts: [organizer, ...row.hosts.filter(host => host !== organizer.toLowerCase())],
    createdAt: row.createdAt.toISOString(),
  }
}
