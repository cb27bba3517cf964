const name = document.querySelector('#name');
const kernel = document.querySelector('#kernel');

async function load() {
  const response = await fetch('/api/name');
  if (!response.ok) throw new Error(`the API answered ${response.status}`);
  const answer = await response.json();
  name.value = answer.name;
  kernel.textContent = `Answered by a machine with kernel ${answer.kernel}`;
}

const tryLoad = () => load().catch((error) => (kernel.textContent = error.message));
document.querySelector('#again').addEventListener('click', tryLoad);
tryLoad();
