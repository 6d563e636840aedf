/**
 * Asks several things of one transaction at once, which sends them in one trip: `Promise.all` that waits for all of them
 * also where one fails. What goes on by itself would otherwise be asked on a connection whose transaction has ended.
 * They are sent in the order in which they begin; each sees what those before it have changed.
 * @throws the reason of the first that failed, in their order
 */
export async function together<Asked extends readonly unknown[]>(
  asked: readonly [...Asked],
): Promise<{ -readonly [At in keyof Asked]: Awaited<Asked[At]> }> {
  const settled = await Promise.allSettled(asked)
  return settled.map(one => {
    if (one.status === 'rejected') throw one.reason
    return one.value
  }) as { -readonly [At in keyof Asked]: Awaited<Asked[At]> }
}
