"""The kit of all pages: charts as inline SVG. The pages lie beside what they show."""
