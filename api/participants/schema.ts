import { z } from 'zod'
import { invited, words } from '../meetings.schema.ts'

export const newParticipantSchema = invited.meta({
  id: 'NewParticipant',
  example: { email: 'luis@clinica.example', name: 'Luis Paz', role: 'participant' },
})

export const participantChangeSchema = z
  .strictObject({
    name: words(200).nullable().optional(),
    role: z.enum(['host', 'participant']).optional(),
  })
  .meta({ id: 'ParticipantChange', example: { role: 'host' } })

export type NewParticipantBody = z.output<typeof newParticipantSchema>
export type ParticipantChangeBody = z.output<typeof participantChangeSchema>
