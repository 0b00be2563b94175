// Logs in, shows who is there and one answer of Finvera's, logs out: with the gateway's own browser client.
import { createGatewayClient } from '/bff/client.js';

const gateway = createGatewayClient();
const form = document.querySelector('form');
const status = document.querySelector('[role=status]');

async function show(work) {
  try {
    await work();
    const session = await gateway.session();
    if (!session) {
      status.textContent = 'Nobody is logged in.';
      return;
    }
    const answer = await gateway.fetch('/search/api/v1/securities?search=AAPL&search_type=symbol');
    status.textContent = `${JSON.stringify(session, null, 2)}\n\n${answer.status} ${await answer.text()}`;
  } catch (error) {
    status.textContent = `${error.code ?? error.name}: ${error.message}`;
  }
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  const { email, password } = Object.fromEntries(new FormData(form));
  show(() => gateway.login(email, password));
});
document.querySelector('#logout').addEventListener('click', () => show(() => gateway.logout()));
show(() => undefined);
