// The bars fade out when the mouse rests.
const idleAfterMs = 5_000
let timer = null

export function watchMouse() {
  const wake = () => {
    document.body.classList.remove('idle')
    clearTimeout(timer)
    timer = setTimeout(() => document.body.classList.add('idle'), idleAfterMs)
  }
  addEventListener('mousemove', wake)
  wake()
}
