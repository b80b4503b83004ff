import React from 'react';

interface Props {
  title: string;
}

/** A card. */
export const Card: React.FC<Props> = ({ title }) => {
  const onClick = () => {
    console.log(title);
  };
  return <div onClick={onClick}>{title}</div>;
};

export const Memo = React.memo(function Memo(props: Props) {
  return <Card {...props} />;
});

export default function App() {
  return <Card title="x" />;
}
