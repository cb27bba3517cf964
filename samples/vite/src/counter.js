/** Makes a button count its clicks. */
export function createCounter(button) {
  let count = 0;
  const show = () => {
    button.textContent = count === 0 ? 'Count' : `Counted to ${count}`;
  };
  button.addEventListener('click', () => {
    count += 1;
    show();
  });
  show();
}
