(() => {
  // A card is drawn when it is opened first: dozens of pictures at once would take long to load.
  const draw = card => {
    card.querySelectorAll('.picture:not([data-drawn])').forEach(picture => {
      const figure = JSON.parse(document.getElementById(picture.dataset.figure).textContent);
      picture.dataset.drawn = 'yes';
      Plotly.newPlot(picture, figure.data, figure.layout, { displayModeBar: false, responsive: true });
    });
  };
  const cards = [...document.querySelectorAll('.ring')];
  cards.forEach(card => {
    card.addEventListener('toggle', () => { if (card.open) draw(card); });
    if (card.open) draw(card);
  });
  const show = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.classList.contains('ring')) { target.open = true; draw(target); target.scrollIntoView(); }
  };
  window.addEventListener('hashchange', show);
  show();
})();
