import { z } from 'zod'
import { ROLES } from '../../db/roles.ts'
import { hasPlainText } from '../plain-data.ts'

/** What callers send about people. Unknown fields are refused. */

const SHORTEST_PASSWORD = 12
const LONGEST_PASSWORD = 256

const email = z
  .email()
  .max(254)
  .transform(address => address.toLowerCase())
  .meta({ example: 'ana@clinica.example' })
const name = z
  .string()
  .trim()
  .min(1)
  .max(200)
  .refine(hasPlainText, { error: 'must not contain NUL or half characters' })
const secretText = z.string().min(1).max(LONGEST_PASSWORD).refine(hasPlainText, {
  error: 'must not contain NUL or half characters',
})

export const newUserSchema = z
  .strictObject({ email, name: name.nullish(), role: z.enum(ROLES) })
  .meta({ id: 'NewUser', example: { email: 'ana@clinica.example', name: 'Ana Ruiz', role: 'auditor' } })

export const userChangeSchema = z
  .strictObject({
    name: name.nullish(),
    role: z.enum(ROLES).optional(),
    status: z
      .enum(['enabled', 'disabled'])
      .optional()
      .meta({ description: 'Whoever is disabled is signed out at once and cannot sign in' }),
  })
  .meta({ id: 'UserChange', example: { role: 'admin' } })

export const signInSchema = z
  .strictObject({
    email,
    password: secretText,
    organizationId: z
      .uuid()
      .optional()
      .meta({ description: 'Needed by people who use the same password in two organisations' }),
  })
  .meta({ id: 'SignIn', example: { email: 'ana@clinica.example', password: '…' } })

export const refreshSchema = z
  .strictObject({ refreshToken: secretText })
  .meta({ id: 'Refresh', example: { refreshToken: 'tr_…' } })

const newPassword = z
  .string()
  .min(SHORTEST_PASSWORD, `must be at least ${SHORTEST_PASSWORD} characters long`)
  .max(LONGEST_PASSWORD)
  .refine(hasPlainText, { error: 'must not contain NUL or half characters' })
  .refine(password => new Set(password).size >= 5, {
    error: 'must not be a few characters over and over',
  })

export const newPasswordSchema = z
  .strictObject({
    token: secretText.meta({ description: 'Of the one-time link an administrator made' }),
    password: newPassword,
  })
  .meta({ id: 'NewPassword', example: { token: 'tp_…', password: 'cuatro palabras sin sentido' } })

export const ownPasswordSchema = z
  .strictObject({ currentPassword: secretText, newPassword })
  .refine(({ currentPassword, newPassword }) => newPassword !== currentPassword, {
    path: ['newPassword'],
    error: 'must be another one than before',
  })
  .meta({
    id: 'OwnPassword',
    example: { currentPassword: '…', newPassword: 'cuatro palabras sin sentido' },
  })

export type OwnPasswordBody = z.output<typeof ownPasswordSchema>
export type NewUserBody = z.output<typeof newUserSchema>
export type UserChangeBody = z.output<typeof userChangeSchema>
export type SignInBody = z.output<typeof signInSchema>
