(() => {
  const rows = document.getElementById('rows');
  const items = [...rows.querySelectorAll('.item')];
  const search = document.getElementById('search');
  const shown = document.getElementById('shown');
  const chosen = { kind: new Set(), status: new Set() };
  const show = () => {
    const words = search.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const item of items) {
      const fits = ['kind', 'status'].every(f => !chosen[f].size || chosen[f].has(item.dataset[f]))
        && words.every(w => item.dataset.text.includes(w));
      item.hidden = !fits;
      count += fits;
    }
    shown.textContent = `显示 ${count} / ${items.length}`;
  };
  document.querySelectorAll('.filters [data-filter] button').forEach(button => {
    button.addEventListener('click', () => {
      const set = chosen[button.parentElement.dataset.filter];
      const value = button.dataset.value;
      set.has(value) ? set.delete(value) : set.add(value);
      button.classList.toggle('on');
      button.setAttribute('aria-pressed', set.has(value));
      show();
    });
  });
  search.addEventListener('input', show);
  document.getElementById('sort').addEventListener('change', event => {
    const key = event.target.value;
    const sign = key === 'rank' ? 1 : -1;
    items.sort((a, b) => sign * (a.dataset[key] - b.dataset[key]) || a.dataset.rank - b.dataset.rank);
    rows.append(...items);
  });
  document.getElementById('all').addEventListener('click', () => {
    const visible = items.filter(i => !i.hidden);
    const open = visible.some(i => !i.open);
    visible.forEach(i => { i.open = open; });
  });
  document.addEventListener('keydown', event => {
    if (event.key === '/' && document.activeElement !== search) { event.preventDefault(); search.focus(); }
  });
  const target = location.hash.startsWith('#S-') && document.getElementById(location.hash.slice(1));
  if (target) { target.open = true; target.scrollIntoView(); }
  show();
})();
